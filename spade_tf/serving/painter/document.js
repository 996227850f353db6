// A label map, and its changes: every one of them can be undone.

// Most bytes that changes are kept in, and most changes.
const MOST_BYTES = 64 << 20;
const MOST_CHANGES = 300;

// Events: `change`, whenever pixels change, with `final` (whether a change is complete); `history`.
export class LabelDocument extends EventTarget {
  constructor(width, height, id = 0) {
    super();
    this.width = width;
    this.height = height;
    this.ids = new Uint8Array(width * height).fill(id);
    this.undone = [];
    this.done = [];
    this.base = null;
  }

  get drawing() { return this.base !== null; }

  // Begins a change. Tools then write to `ids` and call `touch`.
  begin() {
    this.base ??= this.ids.slice();
  }

  touch() {
    this.#changed(false);
  }

  // Back to how the map was when the change began; the change goes on.
  restart() {
    if (this.base) this.ids.set(this.base);
  }

  // Gives whether anything changed.
  commit() {
    if (!this.base) return false;
    const change = difference(this.base, this.ids, this.width, this.height);
    this.base = null;
    if (change) {
      this.done.push(change);
      this.undone = [];
      this.#forget();
    }
    this.#changed(true);
    this.#history();
    return change !== null;
  }

  cancel() {
    if (!this.base) return;
    this.restart();
    this.base = null;
    this.#changed(true);
  }

  // One change that gives the whole map anew: a file, a sample, a class all over.
  replace(ids) {
    this.cancel();
    this.begin();
    this.ids.set(ids);
    return this.commit();
  }

  undo() { return this.#move(this.done, this.undone, 'before'); }

  redo() { return this.#move(this.undone, this.done, 'after'); }

  #move(from, to, which) {
    this.cancel();
    const change = from.pop();
    if (!change) return false;
    to.push(change);
    const {left, top, width, height} = change;
    for (let row = 0; row < height; ++row) {
      const part = change[which].subarray(row * width, (row + 1) * width);
      this.ids.set(part, (top + row) * this.width + left);
    }
    this.#changed(true);
    this.#history();
    return true;
  }

  #forget() {
    let bytes = this.done.reduce((sum, {before}) => sum + 2 * before.length, 0);
    while (this.done.length > MOST_CHANGES || (bytes > MOST_BYTES && this.done.length > 1)) {
      bytes -= 2 * this.done.shift().before.length;
    }
  }

  #changed(final) { this.dispatchEvent(new CustomEvent('change', {detail: {final}})); }

  #history() { this.dispatchEvent(new Event('history')); }
}

// The rectangle that two maps differ in, and what it holds in each; null if they are equal.
export function difference(before, after, width, height) {
  let left = width, right = -1, top = height, bottom = -1;
  for (let y = 0, pixel = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x, ++pixel) {
      if (before[pixel] === after[pixel]) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      bottom = y;
    }
  }
  if (right < 0) return null;
  const box = {left, top, width: right - left + 1, height: bottom - top + 1};
  return {...box, before: cut(before, width, box), after: cut(after, width, box)};
}

function cut(ids, stride, {left, top, width, height}) {
  const part = new Uint8Array(width * height);
  for (let row = 0; row < height; ++row) {
    const start = (top + row) * stride + left;
    part.set(ids.subarray(start, start + width), row * width);
  }
  return part;
}
