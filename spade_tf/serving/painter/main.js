// The page: connects the map, its tools, the style and the picture.

import {ClassStyles} from './class_styles.js';
import {Connection} from './connection.js';
import {LabelDocument} from './document.js';
import {makeEngine} from './engines.js';
import {listenToKeys, listKeys} from './keys.js';
import {describeFiles, download, loadMap, saveMap} from './label_files.js';
import {LatestWins} from './latest.js';
import {Legend} from './legend.js';
import {MapView, nextSize} from './map_view.js';
import {PictureView} from './picture_view.js';
import {blankClass, horizon} from './starters.js';
import {keep, restore} from './storage.js';
import {Styles} from './styles.js';
import {Variations} from './variations.js';

const KEEP_MS = 250;
const VIEWS = ['picture', 'map', 'blend'];
const element = (id) => document.getElementById(id);
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;

// Names what is painted in this page, until it is loaded again.
const drawing = [...crypto.getRandomValues(new Uint8Array(16))]
  .map((byte) => byte.toString(16).padStart(2, '0')).join('');

const engine = await makeEngine({
  say: showStatus, runsOn: (text) => { element('made').textContent = `Made ${text}.`; },
});
const connection = new Connection({engine, show: showStatus, back: (model) => page.back(model)});
// Until there is a model, the page starts when there is one.
let page = {back: start};
listKeys(element('key-list'));
element('show-keys').addEventListener('click', () => element('keys').showModal());
engine.describe().then(start, (error) => connection.failed(error));

function showStatus(text, kind) {
  const status = element('status');
  status.textContent = text;
  status.className = kind;
}

function start(model) {
  showStatus('', '');
  page = new Page(model);
  document.body.classList.add('ready');
}

class Page {
  constructor(model) {
    this.model = model;
    const {classes, width, height} = model;
    const kept = restore(model);
    const id = kept?.id < classes.length ? kept.id : blankClass(classes);
    this.settings = {tool: 'brush', id, size: kept?.size ?? Math.max(1, width >> 4)};
    this.map = new LabelDocument(width, height, blankClass(classes));
    if (kept) this.map.ids.set(kept.ids);
    const state = model.step === undefined ? `version ${model.version}` : `step ${model.step}`;
    element('model').textContent = `${model.name}, ${state}, ${width} × ${height}`;
    element('file-help').textContent = describeFiles(model.files);
    document.body.style.setProperty('--aspect', width / height);
    this.#views();
    this.#style(kept);
    this.queue = new LatestWins((request, signal) => this.#render(request, signal), {
      shown: (file, request) => this.#shown(file, request),
      failed: (error) => { this.refusal = error.message; connection.failed(error); },
      busy: (busy) => element('picture-panel').classList.toggle('busy', busy),
    });
    this.map.addEventListener('change', ({detail}) => this.#mapChanged(detail));
    this.map.addEventListener('history', () => this.#history());
    this.#buttons();
    this.legend.choose(this.settings.id);
    this.resize(this.settings.size);
    this.#history();
    addEventListener('pagehide', () => this.#keep());
    if (kept || !model.samples) this.ask();
    else this.sample(1);
  }

  #views() {
    const {map, settings, model} = this;
    const colors = model.classes.map(({color}) => color);
    const names = model.classes.map(({name}) => name);
    this.legend = new Legend({
      list: element('legend'), find: element('find'), classes: model.classes,
      chosen: (id) => { settings.id = id; this.classStyles.choose(id); this.#keepSoon(); },
    });
    this.mapView = new MapView({
      canvas: element('map'), ring: element('brush-ring'), cursor: element('cursor'), map, colors,
      names, settings, picked: (id) => { this.legend.choose(id); this.#say(names[id]); },
      say: (text) => this.#say(text), resized: (size) => this.resize(size),
    });
    this.pictureView = new PictureView({canvas: element('picture'), map, colors});
  }

  #style(kept) {
    const told = {
      changed: ({final = true} = {}) => { this.ask({final, urgent: final}); this.#keepSoon(); },
      failed: (error) => connection.failed(error),
    };
    this.styles = new Styles({
      engine, model: this.model, ...told,
      elements: {
        section: element('styles'), presets: element('presets'), first: element('seed-a'),
        second: element('seed-b'), firstName: element('style-a'), secondName: element('style-b'),
        mix: element('mix'), dice: element('dice'), diceSecond: element('dice-b'),
        photo: element('photo'), photoFile: element('photo-file'),
      },
    });
    this.classStyles = new ClassStyles({
      model: this.model, styles: this.styles, ...told,
      elements: {
        row: element('class-styles'), name: element('class-style-name'),
        seed: element('class-seed'), dice: element('class-dice'), photo: element('class-photo'),
        photoFile: element('class-photo-file'), reset: element('class-reset'),
        now: element('class-style-now'),
      },
    });
    if (kept) for (const part of [this.styles, this.classStyles]) part.restore(kept);
    this.variations = new Variations({
      list: element('variations'), button: element('vary'), styles: this.styles, map: this.map,
      completed: (style, signal) => this.classStyles.completed(style, signal),
      engine, failed: told.failed,
    });
  }

  #buttons() {
    const {map, model} = this;
    const on = (id, action) => element(id).addEventListener('click', action);
    const starter = horizon(model.classes, map.width, map.height);
    const actions = {
      undo: () => map.undo(), redo: () => map.redo(),
      save: () => this.save(), load: () => element('map-file').click(),
      sample: () => { if (model.samples) this.sample(); },
      horizon: () => { if (starter) map.replace(starter); },
      dice: () => { if (model.styles) this.styles.roll(); },
      classDice: () => this.classStyles.roll(),
      vary: () => { if (model.styles) this.variations.make(); },
      view: () => this.#view(VIEWS[(VIEWS.indexOf(this.pictureView.mode) + 1) % VIEWS.length]),
      help: () => element('keys').showModal(),
      tool: (name) => this.#tool(name), choose: (id) => this.legend.choose(id),
      size: (by) => this.resize(nextSize(this.settings.size, by)),
      step: (by) => this.legend.step(by),
    };
    for (const name of ['undo', 'redo', 'save', 'load', 'sample', 'horizon']) on(name, actions[name]);
    on('clear', () => map.replace(new Uint8Array(map.ids.length).fill(this.settings.id)));
    on('download', () => download(this.pictureView.file, `${model.name}.png`));
    element('sample').hidden = !model.samples;
    element('horizon').hidden = !starter;
    element('map-file').addEventListener('change', () => this.load());
    element('size').addEventListener('input', () => this.resize(Number(element('size').value)));
    element('tools').addEventListener('change', () => this.#tool(chosen('tool')));
    element('views').addEventListener('change', () => this.#view(chosen('view')));
    element('blend').addEventListener('input', () => this.#view('blend'));
    listenToKeys(actions, () => element('letters').checked);
  }

  #tool(name) {
    this.settings.tool = name;
    document.querySelector(`input[name=tool][value=${name}]`).checked = true;
    element('map').dataset.tool = name;
    this.#say(name);
  }

  #view(mode) {
    document.querySelector(`input[name=view][value=${mode}]`).checked = true;
    element('blend-label').hidden = mode !== 'blend';
    this.pictureView.set(mode, Number(element('blend').value) / 100);
  }

  resize(size) {
    const slider = element('size');
    this.settings.size = Math.min(Number(slider.max), Math.max(1, Math.round(size)));
    slider.value = this.settings.size;
    element('size-shown').textContent = this.settings.size;
    this.#keepSoon();
  }

  ask({final = true, urgent = false} = {}) {
    this.variations.cancel();
    this.queue.ask({final, urgent});
  }

  async sample(seed = Math.floor(Math.random() * 1e6)) {
    try {
      this.map.replace(await engine.sample(seed));
    } catch (error) {
      connection.failed(error);
    }
  }

  async load() {
    const [file] = element('map-file').files;
    element('map-file').value = '';
    if (!file) return;
    try {
      const {ids, scaled} = await loadMap(file, this.model, this.map);
      this.map.replace(ids);
      const {width, height} = this.map;
      showStatus(scaled ? `${file.name} has ${scaled.width}×${scaled.height} pixels, and was scaled `
        + `to ${width}×${height} without new classes.` : '', '');
    } catch (error) {
      showStatus(`${file.name} cannot be opened: ${error.message}.`, 'error');
    }
  }

  async save() {
    download(await saveMap(this.map, this.model.files), `${this.model.name}_map.png`);
  }

  // The server is there again, perhaps with another model.
  back(model) {
    const same = ['classes', 'width', 'height', 'styles', 'class_styles', 'photographs', 'samples',
      'files'].every((key) => JSON.stringify(model[key]) === JSON.stringify(this.model[key]));
    if (same) this.ask();
    else location.reload();
  }

  async #render({final}, signal) {
    const {ids, width, height} = this.map;
    const map = {ids: ids.slice(), width, height};
    const style = await this.classStyles.completed(await this.styles.current(signal), signal);
    return engine.render({map, style, final, drawing, signal});
  }

  async #shown(file, {final}) {
    await this.pictureView.show(file, final);
    element('picture-panel').classList.add('made');
    element('download').disabled = !this.pictureView.file;
    const status = element('status');
    if (status.className === 'error' && (connection.trying || status.textContent === this.refusal)) {
      showStatus('', '');
    }
    const marks = performance.getEntriesByName('painter:stroke-end');
    performance.mark(final ? 'painter:exact-shown' : 'painter:draft-shown');
    if (final && marks.length) {
      performance.measure('painter:stroke-to-picture', 'painter:stroke-end', 'painter:exact-shown');
      performance.clearMarks('painter:stroke-end');
    }
  }

  #mapChanged({final}) {
    element('download').disabled = true;
    this.ask({final});
    if (final) this.#keepSoon();
  }

  #history() {
    element('undo').disabled = !this.map.done.length;
    element('redo').disabled = !this.map.undone.length;
  }

  #keepSoon() {
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => this.#keep(), KEEP_MS);
  }

  #keep() {
    const {id, size} = this.settings;
    const ids = this.map.base ?? this.map.ids;
    const settings = {id, size, ...this.styles.settings, ...this.classStyles.settings};
    if (!keep(this.model, ids, settings) && !this.told) {
      this.told = true;
      showStatus('This browser does not keep the map: save it before you leave.', 'error');
    }
  }

  #say(text) { element('spoken').textContent = text; }
}
