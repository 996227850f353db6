// Drawing on a map of class ids. A pixel is of one class: nothing is ever blended.

// The points closer than half a size to a line from one pixel to another. Sizes may differ at its
// ends, as pens are pressed.
export function stroke(map, from, to, id) {
  const {width, height, ids} = map;
  const most = Math.max(from.size, to.size) / 2;
  const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - most));
  const right = Math.min(width - 1, Math.ceil(Math.max(from.x, to.x) + most));
  const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - most));
  const bottom = Math.min(height - 1, Math.ceil(Math.max(from.y, to.y) + most));
  const dx = to.x - from.x, dy = to.y - from.y;
  const length = dx * dx + dy * dy;
  for (let y = top; y <= bottom; ++y) {
    for (let x = left; x <= right; ++x) {
      const along = length ? ((x - from.x) * dx + (y - from.y) * dy) / length : 0;
      const part = Math.min(1, Math.max(0, along));
      const offX = x - from.x - part * dx, offY = y - from.y - part * dy;
      const radius = (from.size + part * (to.size - from.size)) / 2;
      // The pixel at the middle of a brush of size 1 is within it.
      if (offX * offX + offY * offY < radius * radius + 0.01) ids[y * width + x] = id;
    }
  }
}

export function rectangle(map, from, to, id) {
  const clamp = (value, most) => Math.min(most - 1, Math.max(0, value));
  const [left, right] = [from.x, to.x].map((x) => clamp(x, map.width)).sort((a, b) => a - b);
  const [top, bottom] = [from.y, to.y].map((y) => clamp(y, map.height)).sort((a, b) => a - b);
  for (let y = top; y <= bottom; ++y) {
    map.ids.fill(id, y * map.width + left, y * map.width + right + 1);
  }
}

// The region of one class around a pixel, by its four neighbours.
export function fill(map, {x, y}, id) {
  const {width, height, ids} = map;
  const old = ids[y * width + x];
  if (old === id) return;
  const waiting = [y * width + x];
  while (waiting.length) {
    const pixel = waiting.pop();
    if (ids[pixel] !== old) continue;
    const row = pixel - pixel % width;
    let left = pixel, right = pixel;
    while (left > row && ids[left - 1] === old) --left;
    while (right < row + width - 1 && ids[right + 1] === old) ++right;
    for (let at = left; at <= right; ++at) {
      ids[at] = id;
      // The first of each run above and below.
      for (const next of [at - width, at + width]) {
        const inside = next >= 0 && next < width * height;
        if (inside && ids[next] === old && (at === left || ids[next - 1] !== old)) {
          waiting.push(next);
        }
      }
    }
  }
}

export function swap(map, from, to) {
  map.ids.forEach((id, pixel) => { if (id === from) map.ids[pixel] = to; });
}

// A stroke of the tool that was chosen when it began, to the end.
export class Stroke {
  // `tool`: its name. `id`: the class. `size`: of a brush that is pressed fully.
  constructor(map, tool, id, size) {
    Object.assign(this, {map, tool, id, size, first: null, last: null});
  }

  // `point`: x and y of a pixel, and `pressure`, 0 to 1.
  to(point) {
    const {map, tool, id} = this;
    const at = {...point, size: Math.max(1, this.size * (point.pressure ?? 1))};
    const inside = at.x >= 0 && at.y >= 0 && at.x < map.width && at.y < map.height;
    if (tool === 'brush') {
      stroke(map, this.last ?? at, at, id);
    } else if (tool === 'line' || tool === 'rectangle') {
      map.restart();
      if (tool === 'line') stroke(map, this.first ?? at, at, id);
      else rectangle(map, this.first ?? at, at, id);
    } else if (!this.last && inside) {
      if (tool === 'fill') fill(map, at, id);
      else if (tool === 'swap') swap(map, map.ids[at.y * map.width + at.x], id);
    }
    this.first ??= at;
    this.last = at;
    map.touch();
  }
}
