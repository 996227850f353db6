// Photographs as an encoder takes them: scaled as in training, bicubic and antialiased.

// `shape`: "stretch" to the size; "cover" it, and take the middle; "crop" the middle as it is.
// Gives red, green and blue in [-1, 1], row by row; null where a crop is larger than the picture.
export function photographInput(bitmap, {width, height}, shape) {
  const picture = pixelsOf(bitmap);
  if (shape === 'crop') {
    const fits = picture.width >= width && picture.height >= height;
    return fits ? inRange(middle(withoutAlpha(picture), width, height)) : null;
  }
  if (shape === 'stretch') return inRange(resized(picture, width, height).data);
  const byHeight = height * picture.width >= width * picture.height;
  const covering = byHeight ? [Math.floor(height * picture.width / picture.height), height]
    : [width, Math.floor(width * picture.height / picture.width)];
  return inRange(middle(resized(picture, ...covering), width, height));
}

// Four bytes per pixel.
function pixelsOf(bitmap) {
  const {width, height} = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, width, height);
}

function withoutAlpha({width, height, data}) {
  const rgb = new Float32Array(3 * width * height);
  for (let i = 0; i < rgb.length; ++i) rgb[i] = data[4 * Math.floor(i / 3) + i % 3];
  return {width, height, data: rgb};
}

function inRange(data) {
  return data.map((value) => Math.min(255, Math.max(0, value)) / 127.5 - 1);
}

function middle({width, height, data}, wantedWidth, wantedHeight) {
  const [left, top] = [(width - wantedWidth) >> 1, (height - wantedHeight) >> 1];
  const part = new Float32Array(3 * wantedWidth * wantedHeight);
  for (let row = 0; row < wantedHeight; ++row) {
    const start = 3 * ((top + row) * width + left);
    part.set(data.subarray(start, start + 3 * wantedWidth), 3 * row * wantedWidth);
  }
  return part;
}

function resized(picture, width, height) {
  return shortened(narrowed(picture, width), height);
}

// Of another width: from four bytes per pixel to three numbers.
function narrowed({width, height, data}, toWidth) {
  const result = new Float32Array(3 * toWidth * height);
  const places = taps(width, toWidth);
  for (let y = 0, at = 0; y < height; ++y) {
    for (const {start, weights} of places) {
      let from = 4 * (y * width + start);
      for (let tap = 0; tap < weights.length; ++tap, from += 4) {
        for (let channel = 0; channel < 3; ++channel) {
          result[at + channel] += weights[tap] * data[from + channel];
        }
      }
      at += 3;
    }
  }
  return {width: toWidth, height, data: result};
}

// Of another height.
function shortened({width, height, data}, toHeight) {
  const stride = 3 * width;
  const result = new Float32Array(stride * toHeight);
  taps(height, toHeight).forEach(({start, weights}, row) => {
    for (let tap = 0; tap < weights.length; ++tap) {
      for (let i = 0; i < stride; ++i) {
        result[row * stride + i] += weights[tap] * data[(start + tap) * stride + i];
      }
    }
  });
  return {width, height: toHeight, data: result};
}

// For each new place, the first old one that counts, and the weights of it and of the next ones.
function taps(from, to) {
  const scale = from / to;
  const spread = Math.max(1, scale);
  return Array.from({length: to}, (_, place) => {
    const centre = (place + 0.5) * scale;
    const start = Math.max(0, Math.ceil(centre - 2 * spread - 0.5));
    const end = Math.min(from - 1, Math.floor(centre + 2 * spread - 0.5));
    const weights = Array.from({length: end - start + 1},
      (_, tap) => cubic((start + tap + 0.5 - centre) / spread));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return {start, weights: weights.map((weight) => weight / sum)};
  });
}

// Keys' cubic kernel, of parameter -1/2.
function cubic(offset) {
  const x = Math.abs(offset);
  if (x >= 2) return 0;
  if (x >= 1) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return (1.5 * x - 2.5) * x * x + 1;
}
