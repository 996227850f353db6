// Shows the picture, the map, or one over the other.

import {drawIds, packed} from './map_view.js';

export class PictureView {
  constructor({canvas, map, colors}) {
    Object.assign(this, {canvas, map});
    this.palette = packed(colors);
    this.over = document.createElement('canvas');
    this.bitmap = null;
    // The file of the picture, once it is exact.
    this.file = null;
    this.mode = 'picture';
    this.share = 0.5;
    Object.assign(canvas, {width: map.width, height: map.height});
    map.addEventListener('change', () => { if (this.mode !== 'picture') this.draw(); });
  }

  async show(file, final) {
    const bitmap = await createImageBitmap(file);
    this.bitmap?.close();
    this.bitmap = bitmap;
    this.file = final ? file : null;
    this.draw();
  }

  set(mode, share = this.share) {
    Object.assign(this, {mode, share});
    this.draw();
  }

  draw() {
    const {canvas, bitmap, mode} = this;
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (bitmap && mode !== 'map') context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    if (mode === 'picture') return;
    drawIds(this.over, this.map, this.palette);
    context.globalAlpha = mode === 'map' ? 1 : this.share;
    context.drawImage(this.over, 0, 0);
    context.globalAlpha = 1;
  }
}
