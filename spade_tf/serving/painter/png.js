// PNG files of maps, with their exact values: canvases may change colours.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const GREY = 0, RGB = 2, INDEXED = 3, GREY_ALPHA = 4, RGBA = 6;
const CHANNELS = {[GREY]: 1, [RGB]: 3, [INDEXED]: 1, [GREY_ALPHA]: 2, [RGBA]: 4};
// What is unpacked at most, in pixels.
const MOST_PIXELS = 1 << 24;

export class PngError extends Error {}

// `channels`: 1 for grey or 3 for red, green and blue. `values`: bytes, row by row; of 16 bits, the
// high byte of each value comes first.
export async function encodePng(values, width, height, channels, depth = 8) {
  const stride = width * channels * depth / 8;
  const rows = new Uint8Array(height * (stride + 1));
  for (let y = 0; y < height; ++y) {
    rows.set(values.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1);
  }
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, depth);
  header.setUint8(9, channels === 1 ? GREY : RGB);
  const packed = await through(rows, new CompressionStream('deflate'));
  const parts = [chunk('IHDR', new Uint8Array(header.buffer)), chunk('IDAT', packed),
    chunk('IEND', new Uint8Array())];
  return new Blob([new Uint8Array(SIGNATURE), ...parts], {type: 'image/png'});
}

// Gives width, height, `values` (of grey files and those with a palette: grey or index; else null)
// and `colors` (red * 65536 + green * 256 + blue of each pixel, else null).
export async function decodePng(buffer) {
  const bytes = new Uint8Array(buffer);
  if (SIGNATURE.some((byte, index) => bytes[index] !== byte)) {
    throw new PngError('it is not a PNG file');
  }
  const {header, palette, data} = chunks(bytes);
  if (!header || !data.length) throw new PngError('it is damaged');
  const [width, height] = [header.getUint32(0), header.getUint32(4)];
  const [depth, kind, interlaced] = [8, 9, 12].map((place) => header.getUint8(place));
  if (!width || !height || width * height > MOST_PIXELS) {
    throw new PngError(`it has ${width}x${height} pixels, and 1 to ${MOST_PIXELS} are read`);
  }
  if (interlaced) throw new PngError('it is interlaced; save it without');
  const channels = CHANNELS[kind];
  if (!channels || ![1, 2, 4, 8, 16].includes(depth)) throw new PngError('it is damaged');
  const stride = Math.ceil(width * channels * depth / 8);
  const rows = await unpacked(data, height * (stride + 1));
  unfilter(rows, height, stride, Math.max(1, channels * depth >> 3));
  const sample = sampler(rows, stride, depth, channels);
  const values = new Uint16Array(width * height);
  const colors = new Int32Array(width * height);
  for (let y = 0, pixel = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x, ++pixel) {
      const value = values[pixel] = sample(x, y, 0);
      if (kind === INDEXED) {
        if (3 * value + 2 >= palette.length) throw new PngError('it is damaged');
        colors[pixel] = palette[3 * value] << 16 | palette[3 * value + 1] << 8
          | palette[3 * value + 2];
      } else if (kind === RGB || kind === RGBA) {
        const part = (channel) => sample(x, y, channel) >> (depth === 16 ? 8 : 0);
        colors[pixel] = part(0) << 16 | part(1) << 8 | part(2);
      }
    }
  }
  const colored = kind === RGB || kind === RGBA;
  return {width, height, values: colored ? null : values,
    colors: colored || kind === INDEXED ? colors : null};
}

function chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = {header: null, palette: new Uint8Array(), data: []};
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    // The last one may be cut off.
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (name === 'IHDR' && content.length === 13) {
      found.header = new DataView(content.buffer, content.byteOffset, 13);
    } else if (name === 'PLTE') {
      found.palette = content;
    } else if (name === 'IDAT') {
      found.data.push(content);
    }
    at += 12 + length;
  }
  return found;
}

// Stops at the size that the header states: a few bytes may unpack to any number.
async function unpacked(parts, size) {
  const rows = new Uint8Array(size);
  let at = 0;
  try {
    const reader = new Blob(parts).stream().pipeThrough(new DecompressionStream('deflate'))
      .getReader();
    for (;;) {
      const {done, value} = await reader.read();
      if (done) break;
      rows.set(value.subarray(0, size - at), at);
      at += value.length;
      if (at >= size) {
        await reader.cancel();
        break;
      }
    }
  } catch {
    at = 0;
  }
  if (at < size) throw new PngError('it is truncated or damaged');
  return rows;
}

// Undoes the filters of the rows in place (PNG specification, section 9).
function unfilter(rows, height, stride, step) {
  for (let y = 0; y < height; ++y) {
    const start = y * (stride + 1) + 1;
    const filter = rows[start - 1];
    if (filter > 4) throw new PngError('it is damaged');
    for (let i = 0; filter && i < stride; ++i) {
      const a = i >= step ? rows[start + i - step] : 0;
      const b = y ? rows[start + i - stride - 1] : 0;
      const c = y && i >= step ? rows[start + i - step - stride - 1] : 0;
      rows[start + i] += [0, a, b, (a + b) >> 1, paeth(a, b, c)][filter];
    }
  }
}

function paeth(a, b, c) {
  const [toA, toB, toC] = [a, b, c].map((value) => Math.abs(a + b - c - value));
  if (toA <= toB && toA <= toC) return a;
  return toB <= toC ? b : c;
}

function sampler(rows, stride, depth, channels) {
  return (x, y, channel) => {
    const start = y * (stride + 1) + 1;
    const index = x * channels + channel;
    if (depth === 16) return rows[start + 2 * index] << 8 | rows[start + 2 * index + 1];
    if (depth === 8) return rows[start + index];
    const bit = index * depth;
    return rows[start + (bit >> 3)] >> (8 - depth - (bit & 7)) & ((1 << depth) - 1);
  };
}

function chunk(name, content) {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set([...name].map((letter) => letter.charCodeAt(0)), 4);
  bytes.set(content, 8);
  view.setUint32(content.length + 8, crc(bytes.subarray(4, content.length + 8)));
  return bytes;
}

function crc(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; ++bit) sum = sum >>> 1 ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

async function through(bytes, stream) {
  const packed = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
