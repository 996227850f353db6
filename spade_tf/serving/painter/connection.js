// Tells of errors, and asks again until a server that has gone is back.

const FIRST_MS = 500;
const LONGEST_MS = 4000;

export class Connection {
  // `show(text, kind)`: kind is '', 'busy' or 'error'. `back(model)` is told when it answers again.
  constructor({engine, show, back}) {
    Object.assign(this, {engine, show, back, trying: false});
  }

  failed(error) {
    if (error.gone || error.later) {
      this.#again(error);
    } else {
      this.show(error.message, 'error');
      // Faults of this page, rather than sentences, are for who looks into them.
      if (error.constructor === TypeError || error instanceof ReferenceError) console.error(error);
    }
  }

  async #again(error) {
    this.show(error.message, error.gone ? 'error' : 'busy');
    if (this.trying) return;
    this.trying = true;
    for (let wait = FIRST_MS; this.trying; wait = Math.min(LONGEST_MS, 1.5 * wait)) {
      await new Promise((resolve) => { setTimeout(resolve, wait); });
      try {
        const model = await this.engine.describe();
        this.trying = false;
        this.show('', '');
        this.back(model);
      } catch (next) {
        this.show(next.message, next.gone || !next.later ? 'error' : 'busy');
      }
    }
  }
}
