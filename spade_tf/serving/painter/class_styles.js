// Styles of single classes: each takes the place of what the picture's style holds for its class.

import {drawn, whole} from './styles.js';

export class ClassStyles {
  // `elements`: of the page, by name. `styles`: `Styles`. `changed()` and `failed(error)` are told.
  // A style of the picture is a vector of the whole, if there is one, and then one for each class.
  constructor({elements, model, styles, changed, failed}) {
    Object.assign(this, {elements, styles, changed, failed});
    this.names = model.classes.map(({name}) => name);
    this.size = model.class_styles ?? 0;
    this.offset = model.styles - this.size * this.names.length;
    // By id: `{seed}`, or `{name, style}` of a photograph.
    this.own = new Map();
    this.id = 0;
    elements.row.hidden = !this.size;
    elements.photo.hidden = !model.photographs;
    elements.seed.addEventListener('change', () => {
      const seed = whole(elements.seed.value, null);
      this.#set(elements.seed.value === '' || seed === null ? null : {seed});
    });
    elements.dice.addEventListener('click', () => this.roll());
    elements.reset.addEventListener('click', () => this.#set(null));
    elements.photo.addEventListener('click', () => elements.photoFile.click());
    elements.photoFile.addEventListener('change', () => this.#open());
  }

  // What is kept: seeds, as pairs. Photographs are not.
  get settings() {
    const seeds = [...this.own].filter(([, {seed}]) => seed !== undefined);
    return {classSeeds: seeds.map(([id, {seed}]) => [id, seed])};
  }

  restore({classSeeds}) {
    const pairs = Array.isArray(classSeeds) && this.size ? classSeeds : [];
    for (const [id, seed] of pairs.filter(Array.isArray)) {
      if (id in this.names) this.own.set(id, {seed: whole(seed, 1)});
    }
    this.#show();
  }

  // The class whose style is shown.
  choose(id) {
    this.id = id;
    this.#show();
  }

  // Another style of the chosen class.
  roll() { if (this.size) this.#set({seed: drawn()}); }

  // A style of the picture, with those of classes in it.
  async completed(style, signal) {
    const own = [...this.own];
    if (!own.length) return style;
    const result = style.slice();
    for (const [id, {seed, style: found}] of own) {
      const start = this.offset + id * this.size;
      const source = found ?? await this.styles.ofSeed(seed, signal);
      result.set(source.subarray(start, start + this.size), start);
    }
    return result;
  }

  async #open() {
    const {elements, id} = this;
    const [file] = elements.photoFile.files;
    elements.photoFile.value = '';
    if (!file) return;
    try {
      this.#set({name: file.name, style: await this.styles.ofPhotograph(file)}, id);
    } catch (error) {
      this.failed(error);
    }
  }

  #set(own, id = this.id) {
    if (own) this.own.set(id, own);
    else this.own.delete(id);
    this.#show();
    this.changed();
  }

  #show() {
    const {elements} = this;
    const own = this.own.get(this.id);
    elements.name.textContent = this.names[this.id];
    elements.seed.value = own?.seed ?? '';
    elements.now.textContent = own?.name ?? (own ? '' : 'as the picture');
    elements.reset.disabled = !own;
  }
}
