// The style of the picture: a seed, or a photograph, and how much of a second seed is in it.

const NUM_PRESETS = 6;
const LARGEST_SEED = 2 ** 31 - 1;
// Seeds are as many as a server takes, and JavaScript counts exactly.
const MOST = Number.MAX_SAFE_INTEGER;

// Standard normal styles, mixed so that the mixture is one, too. `share`: of the second, 0 to 1.
export function mixed(first, second, share) {
  if (!share) return first;
  const length = Math.hypot(1 - share, share);
  return first.map((value, i) => ((1 - share) * value + share * second[i]) / length);
}

export class Styles {
  // `elements`: of the page, by name. `changed()` and `failed(error)` are told.
  constructor({elements, engine, model, changed, failed}) {
    Object.assign(this, {elements, engine, changed, failed});
    this.length = model.styles;
    this.known = new Map();
    this.photograph = null;
    this.seed = 1;
    this.second = 2;
    elements.section.hidden = !this.length;
    elements.photo.hidden = !model.photographs;
    this.largest = model.largest;
    this.presets = Array.from({length: NUM_PRESETS}, (_, index) => this.#preset(index + 1));
    elements.first.addEventListener('change', () => this.take(Number(elements.first.value)));
    elements.second.addEventListener('change', () => {
      this.second = whole(elements.second.value, this.second);
      this.#show();
      if (this.share) changed();
    });
    elements.mix.addEventListener('input', () => { this.#show(); changed({final: false}); });
    elements.mix.addEventListener('change', () => changed());
    elements.dice.addEventListener('click', () => this.roll());
    elements.diceSecond.addEventListener('click', () => {
      this.second = drawn();
      if (!this.share) elements.mix.value = 50;
      this.#show();
      changed();
    });
    elements.photo.addEventListener('click', () => elements.photoFile.click());
    elements.photoFile.addEventListener('change', () => this.#open());
    this.#show();
  }

  get share() { return Number(this.elements.mix.value) / 100; }

  // What is kept of the style. A photograph is not.
  get settings() { return {seed: this.seed, second: this.second, mix: this.elements.mix.value}; }

  restore({seed, second, mix}) {
    this.seed = whole(seed, 1);
    this.second = whole(second, 2);
    this.elements.mix.value = Number(mix) || 0;
    this.#show();
  }

  // The style as it is now: Float32Array, or null of models without.
  async current(signal) {
    if (!this.length) return null;
    // As it is when it is asked for: others may be chosen meanwhile.
    const {photograph, seed, second, share} = this;
    const first = photograph?.style ?? await this.ofSeed(seed, signal);
    return share ? mixed(first, await this.ofSeed(second, signal), share) : first;
  }

  async ofSeed(seed, signal) {
    if (!this.known.has(seed)) {
      this.known.set(seed, await this.engine.styleOfSeed(seed, {signal}));
    }
    return this.known.get(seed);
  }

  // One seed alone.
  take(seed) {
    this.seed = whole(seed, this.seed);
    this.photograph = null;
    this.elements.mix.value = 0;
    this.#show();
    this.changed();
  }

  roll() { this.take(drawn()); }

  async ofPhotograph(file) {
    return this.engine.styleOfPhotograph(await sendable(file, this.largest));
  }

  async #open() {
    const [file] = this.elements.photoFile.files;
    this.elements.photoFile.value = '';
    if (!file) return;
    try {
      this.photograph = {name: file.name, style: await this.ofPhotograph(file)};
      this.elements.mix.value = 0;
      this.#show();
      this.changed();
    } catch (error) {
      this.failed(error);
    }
  }

  #preset(seed) {
    const label = document.createElement('label');
    const input = Object.assign(document.createElement('input'),
      {type: 'radio', name: 'preset', value: seed});
    input.addEventListener('change', () => this.take(seed));
    const text = Object.assign(document.createElement('span'), {textContent: seed});
    text.prepend(Object.assign(document.createElement('span'),
      {className: 'unseen', textContent: 'Style '}));
    label.append(input, text);
    this.elements.presets.append(label);
    return input;
  }

  #show() {
    const {elements, photograph, seed, second} = this;
    elements.first.value = seed;
    elements.second.value = second;
    elements.firstName.textContent = photograph ? 'Photograph' : seed;
    elements.firstName.title = photograph?.name ?? '';
    elements.secondName.textContent = second;
    this.presets.forEach((input, index) => { input.checked = !photograph && seed === index + 1; });
  }
}

// A seed by chance.
export function drawn() { return Math.floor(Math.random() * LARGEST_SEED); }

// The seed that a text names; `otherwise`, if it names none.
export function whole(text, otherwise) {
  const number = Number(text);
  return Number.isInteger(number) && Math.abs(number) <= MOST ? number : otherwise;
}

// A photograph as a server takes it: JPEG or PNG, and not too large; others are drawn anew.
async function sendable(file, {bytes, pixels}) {
  let image;
  try {
    image = await createImageBitmap(file, {imageOrientation: 'from-image'});
  } catch {
    throw new Error(`${file.name} is not a picture that this browser can open. Give another.`);
  }
  const fits = file.size < bytes && image.width * image.height <= pixels;
  if (fits && ['image/jpeg', 'image/png'].includes(file.type)) return file;
  const scale = Math.min(1, Math.sqrt(pixels / 4 / (image.width * image.height)));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => { canvas.toBlob(resolve, 'image/jpeg', 0.95); });
}
