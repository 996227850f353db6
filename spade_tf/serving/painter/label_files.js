// Label map files: what they hold, in ids of the model.

import {decodePng, encodePng, PngError} from './png.js';

const shown = (color) => `(${color >> 16}, ${color >> 8 & 255}, ${color & 255})`;
const number = ([red, green, blue]) => red << 16 | green << 8 | blue;

// What the page says of the files that it saves.
export function describeFiles({kind, write}) {
  if (kind === 'colors') {
    return 'A saved map is a PNG file in the colours of the model\'s data set. The command '
      + 'generate takes it as it is.';
  }
  const same = write.every((value, id) => value === id || (value === 255 && id === write.length - 1));
  return 'A saved map is a greyscale PNG file, which looks black: '
    + (same ? 'its values are the ids of the classes' : 'its values are those of the model\'s data set')
    + '. The command generate takes it as it is. Maps in the colours of the legend open, too.';
}

// PNG, as label map files of the model's data set are.
export function saveMap({ids, width, height}, {kind, write}) {
  const wide = kind === 'ids' && Math.max(...write) > 255;
  const bytes = write.map((value) => (wide ? [value >> 8, value & 255] : [value].flat()));
  const each = bytes[0].length;
  const values = new Uint8Array(ids.length * each);
  ids.forEach((id, pixel) => values.set(bytes[id], pixel * each));
  return encodePng(values, width, height, kind === 'colors' ? 3 : 1, wide ? 16 : 8);
}

// Gives ids of `size`, `{width, height}`, and whether the file was scaled to it. Colours of the
// legend are taken whatever files of the data set hold.
export async function loadMap(file, {files, classes}, size) {
  const png = await decodePng(await file.arrayBuffer());
  const ids = toIds(png, files, classes);
  const same = png.width === size.width && png.height === size.height;
  return {ids: same ? ids : nearest(ids, png, size), scaled: same ? null : png};
}

function toIds({values, colors, width}, files, classes) {
  const known = new Map(classes.map(({color}, id) => [number(color), id]));
  if (files.kind === 'colors') for (const [color, id] of files.read) known.set(number(color), id);
  const byValue = files.kind === 'ids' ? new Map(files.read) : new Map(classes.map((_, id) => [id, id]));
  const byColor = colors && translated(colors, known);
  if (byColor?.ids) return byColor.ids;
  const byIndex = values && translated(values, byValue);
  if (byIndex?.ids) return byIndex.ids;
  const {pixel} = byIndex ?? byColor;
  const said = byIndex ? `the value ${values[pixel]}` : `the colour ${shown(colors[pixel])}`;
  throw new PngError(`${said}, at column ${pixel % width + 1} and row `
    + `${Math.floor(pixel / width) + 1}, is of no class of this model`);
}

function translated(values, table) {
  const ids = new Uint8Array(values.length);
  for (let pixel = 0; pixel < values.length; ++pixel) {
    const id = table.get(values[pixel]);
    if (id === undefined) return {pixel};
    ids[pixel] = id;
  }
  return {ids};
}

// Ids of another size, by the nearest neighbour: other filters would make up classes.
export function nearest(ids, from, to) {
  const scaled = new Uint8Array(to.width * to.height);
  for (let y = 0; y < to.height; ++y) {
    const row = Math.floor((y + 0.5) * from.height / to.height) * from.width;
    for (let x = 0; x < to.width; ++x) {
      scaled[y * to.width + x] = ids[row + Math.floor((x + 0.5) * from.width / to.width)];
    }
  }
  return scaled;
}

// Saves a file by the browser.
export function download(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
