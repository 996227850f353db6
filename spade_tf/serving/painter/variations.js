// A strip of pictures of the same map in other styles.

const COUNT = 5;

export class Variations {
  // `styles`: as in `Styles`. `completed(style)`: with the styles of classes. `map`: the document.
  constructor({list, button, styles, completed, map, engine, failed}) {
    Object.assign(this, {list, button, styles, completed, map, engine, failed});
    this.controller = null;
    this.first = 0;
    button.addEventListener('click', () => this.make());
    map.addEventListener('change', () => list.classList.add('stale'));
  }

  // Stops, so that pictures of strokes do not wait.
  cancel() { this.controller?.abort(); }

  async make() {
    this.cancel();
    const controller = this.controller = new AbortController();
    const {signal} = controller;
    const map = {ids: this.map.ids.slice(), width: this.map.width, height: this.map.height};
    // Other styles each time, and none of the presets.
    this.first = Math.floor(Math.random() * 1e6) * COUNT + 100;
    this.list.replaceChildren();
    this.list.classList.remove('stale');
    this.list.setAttribute('aria-busy', 'true');
    try {
      for (let index = 0; index < COUNT; ++index) {
        const seed = this.first + index;
        const style = await this.completed(await this.styles.ofSeed(seed, signal), signal);
        const file = await this.engine.render({map, style, final: true, signal});
        if (signal.aborted) return;
        this.list.append(await this.#item(seed, file));
      }
    } catch (error) {
      if (error.name !== 'AbortError') this.failed(error);
    } finally {
      if (this.controller === controller) this.list.setAttribute('aria-busy', 'false');
    }
  }

  async #item(seed, file) {
    const bitmap = await createImageBitmap(file);
    const canvas = Object.assign(document.createElement('canvas'),
      {width: bitmap.width, height: bitmap.height});
    canvas.getContext('2d').drawImage(bitmap, 0, 0);
    bitmap.close();
    const button = Object.assign(document.createElement('button'),
      {type: 'button', title: `Take this style (seed ${seed})`});
    button.setAttribute('aria-label', `Take the style of seed ${seed}`);
    button.append(canvas);
    button.addEventListener('click', () => this.styles.take(seed));
    const item = document.createElement('li');
    item.append(button);
    return item;
  }
}
