// Shows a label map, and paints on it by mouse, pen, touch and keys.

import {Stroke} from './tools.js';

// How far the keyboard cursor goes with Shift.
const LEAP = 10;
// How far a wheel is turned for another size of the brush.
const NOTCH = 40;
const STEPS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

// The next larger (`by` 1) or smaller (-1) size of a brush.
export function nextSize(size, by) {
  return by > 0 ? Math.ceil(size * 1.15 + 0.01) : Math.max(1, Math.floor(size / 1.15 - 0.01));
}

// Colours as a canvas stores them, by id.
export function packed(colors) {
  const bytes = new Uint8Array(4 * 256).fill(255);
  colors.forEach((color, id) => bytes.set(color, 4 * id));
  return new Uint32Array(bytes.buffer);
}

// Draws ids on a canvas of their size.
export function drawIds(canvas, {ids, width, height}, palette) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let pixel = 0; pixel < ids.length; ++pixel) pixels[pixel] = palette[ids[pixel]];
  context.putImageData(image, 0, 0);
}

export class MapView {
  // `settings`: tool, id and size, as they are now. `say(text)`: to who does not see the cursor.
  // `picked(id)` and `resized(size)` are told.
  constructor({canvas, ring, cursor, map, colors, names, settings, say, picked, resized}) {
    Object.assign(this, {canvas, ring, map, names, settings, say, picked, resized});
    this.marker = cursor;
    this.palette = packed(colors);
    this.at = {x: map.width >> 1, y: map.height >> 1};
    this.stroke = this.pointer = this.key = null;
    this.frame = this.turned = 0;
    map.addEventListener('change', () => this.#later());
    canvas.addEventListener('pointerdown', (event) => this.#down(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    canvas.addEventListener('pointerup', (event) => this.#up(event));
    canvas.addEventListener('pointercancel', (event) => this.#lost(event));
    canvas.addEventListener('pointerleave', () => { ring.hidden = true; });
    canvas.addEventListener('contextmenu', (event) => event.preventDefault());
    canvas.addEventListener('wheel', (event) => this.#wheel(event), {passive: false});
    canvas.addEventListener('keydown', (event) => this.#keyDown(event));
    canvas.addEventListener('keyup', (event) => this.#keyUp(event));
    canvas.addEventListener('focus', () => this.#placeCursor());
    canvas.addEventListener('blur', () => this.#blurred());
    ring.hidden = true;
    this.draw();
  }

  draw() { drawIds(this.canvas, this.map, this.palette); }

  // Ends what is being drawn as if it had never begun.
  cancel() {
    this.stroke = this.pointer = this.key = null;
    this.map.cancel();
  }

  #later() {
    this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  #begin() {
    const {tool, id, size} = this.settings;
    this.map.begin();
    this.stroke = new Stroke(this.map, tool, id, size);
  }

  #end() {
    this.stroke = this.pointer = this.key = null;
    performance.mark('painter:stroke-end');
    this.map.commit();
  }

  #cell(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor((event.clientX - box.left) / box.width * this.map.width);
    const y = Math.floor((event.clientY - box.top) / box.height * this.map.height);
    // A mouse has no pressure to speak of.
    const pen = event.pointerType === 'pen' && event.pressure > 0;
    return {x, y, pressure: pen ? Math.max(0.1, Math.min(1, 2 * event.pressure)) : 1};
  }

  #pick({x, y}) {
    const {width, height, ids} = this.map;
    if (x >= 0 && y >= 0 && x < width && y < height) this.picked(ids[y * width + x]);
  }

  #down(event) {
    if (this.stroke || !event.isPrimary) return;
    event.preventDefault();
    this.canvas.focus({preventScroll: true});
    const cell = this.#cell(event);
    this.at = {x: cell.x, y: cell.y};
    this.#placeCursor();
    if (this.settings.tool === 'pick' || event.button === 2) return this.#pick(cell);
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.#begin();
    this.stroke.to(cell);
  }

  #move(event) {
    this.#placeRing(event);
    if (event.pointerId !== this.pointer || !this.stroke) return;
    const parts = event.getCoalescedEvents?.() ?? [];
    for (const part of parts.length ? parts : [event]) this.stroke.to(this.#cell(part));
  }

  #up(event) {
    if (event.pointerId === this.pointer && this.stroke) this.#end();
  }

  #lost(event) {
    if (event.pointerId === this.pointer) this.cancel();
  }

  #wheel(event) {
    // With Ctrl, it is the page that is zoomed.
    if (event.ctrlKey || !event.deltaY) return;
    event.preventDefault();
    // Touchpads tell of many small turns.
    this.turned += event.deltaMode ? Math.sign(event.deltaY) * NOTCH : event.deltaY;
    if (Math.abs(this.turned) < NOTCH) return;
    this.resized(nextSize(this.settings.size, this.turned < 0 ? 1 : -1));
    this.turned = 0;
    this.#placeRing(event);
  }

  #placeRing(event) {
    const {tool, size} = this.settings;
    const box = this.canvas.getBoundingClientRect();
    const wide = Math.max(size * box.width / this.map.width, 4);
    this.ring.hidden = event.pointerType === 'touch' || !['brush', 'line'].includes(tool);
    this.ring.style.width = this.ring.style.height = `${wide}px`;
    this.ring.style.left = `${event.clientX - box.left + this.canvas.offsetLeft - wide / 2}px`;
    this.ring.style.top = `${event.clientY - box.top + this.canvas.offsetTop - wide / 2}px`;
  }

  #placeCursor() {
    const {width, height} = this.map;
    this.at.x = Math.min(width - 1, Math.max(0, this.at.x));
    this.at.y = Math.min(height - 1, Math.max(0, this.at.y));
    const left = this.canvas.offsetLeft + (this.at.x + 0.5) / width * this.canvas.clientWidth;
    const top = this.canvas.offsetTop + (this.at.y + 0.5) / height * this.canvas.clientHeight;
    this.marker.style.left = `${left}px`;
    this.marker.style.top = `${top}px`;
  }

  #keyDown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step) {
      const far = event.shiftKey ? LEAP : 1;
      this.at = {x: this.at.x + far * step[0], y: this.at.y + far * step[1]};
      this.#placeCursor();
      if (this.stroke) this.stroke.to(this.at);
      this.#sayPlace();
    } else if (event.key === ' ' || event.key === 'Enter') {
      if (!event.repeat) this.#press(event.key);
    } else if (event.key === 'Escape' && this.stroke) {
      this.cancel();
      this.say('Cancelled');
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  // Space draws while it is held. Enter begins, and ends when it is pressed again.
  #press(key) {
    if (this.settings.tool === 'pick') return this.#pick(this.at);
    if (this.stroke) {
      if (this.key === 'Enter' && key === 'Enter') this.#end();
      return;
    }
    this.key = key;
    this.#begin();
    this.stroke.to(this.at);
    this.say(`${this.settings.tool}, ${this.names[this.settings.id]}`);
  }

  #keyUp(event) {
    if (event.key === ' ' && this.key === ' ' && this.stroke) this.#end();
  }

  #blurred() {
    if (this.key && this.stroke) this.#end();
  }

  #sayPlace() {
    const name = this.names[this.map.ids[this.at.y * this.map.width + this.at.x]];
    this.say(`${name}, column ${this.at.x + 1}, row ${this.at.y + 1}`);
  }
}
