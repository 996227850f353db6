// Makes pictures in the browser, by LiteRT.js: the page needs files alone, and no server of ours.

import {EngineError} from '../engine.js';
import {decodePng} from '../png.js';
import {seededStyle} from './seeded_styles.js';

const place = ({runsOn, threads}) => `in this browser, by ${runsOn === 'webgpu' ? 'WebGPU'
  : `WebAssembly${threads ? ' with threads' : ''}`}`;
// Photographs are scaled down to so many pixels before they are looked at.
const MOST_PIXELS = 1 << 24;
const COPY = 'Copy the whole folder that the export has written.';

export class BrowserEngine {
  // `say(text, kind)`: what the page shows as its status. `runsOn(text)`: where pictures are made.
  constructor({say, runsOn}) {
    Object.assign(this, {say, runsOn, model: null, starting: null, lastSample: -1});
    this.base = new URL('../../model/', import.meta.url);
    this.jobs = null;
  }

  async describe({signal} = {}) {
    const facts = await (await this.#fetch('model.json', signal)).json();
    this.model = facts;
    return {
      ...facts, photographs: facts.encoder !== null, samples: facts.samples > 0,
      largest: {bytes: Infinity, pixels: MOST_PIXELS},
    };
  }

  async styleOfSeed(seed) { return seededStyle(seed, this.model.styles); }

  async styleOfPhotograph(file, {signal} = {}) {
    await this.#start();
    const bitmap = await createImageBitmap(file, {imageOrientation: 'from-image'});
    const {style, refused} = await this.jobs.ask({kind: 'style', bitmap}, {signal, send: [bitmap]});
    if (refused) throw new EngineError(refused);
    return style;
  }

  // Of a few layouts; not the same one twice in a row.
  async sample(seed, {signal} = {}) {
    const count = this.model.samples;
    let index = seed % count;
    if (index === this.lastSample) index = (index + 1) % count;
    this.lastSample = index;
    const file = await this.#fetch(`layouts/${index + 1}.png`, signal);
    return Uint8Array.from((await decodePng(await file.arrayBuffer())).values);
  }

  // Always exact. What runs cannot be stopped: it is dropped, or taken if it is what is asked for,
  // as at the end of a stroke.
  async render({map, style = null, signal}) {
    await this.#start();
    signal?.throwIfAborted();
    const same = (other) => equal(other.ids, map.ids) && equal(other.style, style);
    const {file, ...where} = await this.jobs.ask(
      {kind: 'picture', ids: map.ids, style}, {signal, same});
    this.runsOn(place(where));
    return file;
  }

  #start() {
    this.starting ??= this.#load().catch((error) => {
      this.starting = null;
      throw error;
    });
    return this.starting;
  }

  async #load() {
    this.jobs?.end();
    const shown = (part) => this.say(`Loading the model: ${Math.round(100 * part)} %`, 'busy');
    this.jobs = new Jobs(shown, () => { this.starting = null; });
    shown(0);
    const runOn = new URLSearchParams(location.search).get('run');
    this.runsOn(place(await this.jobs.ask({kind: 'load', model: this.model, runOn})));
    this.say('', '');
  }

  async #fetch(name, signal) {
    let response;
    try {
      response = await fetch(new URL(name, this.base), {signal, cache: 'no-cache'});
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new EngineError(`The web server of this page does not answer, and model/${name} is `
        + 'needed. Trying again until it does.', {gone: true});
    }
    if (response.ok) return response;
    throw new EngineError(`model/${name} is not there (${response.status}). ${COPY}`);
  }
}

// What a worker is asked for: one after the other, without those that nobody waits for any more.
class Jobs {
  constructor(progress, ended) {
    this.worker = new Worker(new URL('worker.js', import.meta.url));
    this.waiting = [];
    this.running = this.last = null;
    this.worker.addEventListener('message', ({data}) => {
      if (data.progress === undefined) this.#answered(data);
      else progress(data.progress);
    });
    this.worker.addEventListener('error', (event) => {
      ended();
      this.end(event.message || 'its worker has stopped');
    });
  }

  // `same(message)`: whether the answer to another message, which runs or was the last, would do.
  ask(message, {signal, send = [], same = () => false} = {}) {
    return new Promise((resolve, reject) => {
      const left = () => {
        this.waiting = this.waiting.filter((job) => job.left !== left);
        reject(signal.reason);
      };
      signal?.addEventListener('abort', left, {once: true});
      const job = {message, send, left, heard: [{resolve, reject}]};
      const likeThis = (other) => other?.message.kind === message.kind && same(other.message);
      if (likeThis(this.running)) this.running.heard.push(job.heard[0]);
      else if (!this.running && likeThis(this.last)) resolve(this.last.answer);
      else this.waiting.push(job);
      this.#next();
    });
  }

  end(why = 'it was ended') {
    this.worker.terminate();
    const jobs = [...this.running ? [this.running] : [], ...this.waiting];
    [this.running, this.waiting] = [null, []];
    for (const {heard} of jobs) for (const {reject} of heard) reject(cannotRun(why));
  }

  #next() {
    if (this.running || !this.waiting.length) return;
    this.running = this.waiting.shift();
    this.worker.postMessage(this.running.message, this.running.send);
  }

  #answered({error, ofFile, ...answer}) {
    const {heard, message} = this.running;
    this.running = null;
    this.last = error === undefined ? {message, answer} : null;
    for (const {resolve, reject} of heard) {
      if (error === undefined) resolve(answer);
      else reject(ofFile ? new EngineError(error) : cannotRun(error));
    }
    this.#next();
  }
}

function cannotRun(why) {
  const said = why.replace(' Build with -sASSERTIONS for more info.', '').replace(/\.+$/, '');
  return new EngineError(`The model does not run in this browser: ${said}. ${COPY} If all of it is `
    + 'there, open the page in a current Chrome, Edge, Firefox or Safari.');
}

function equal(one, other) {
  if (!one || !other) return one === other;
  return one.length === other.length && one.every((value, index) => value === other[index]);
}
