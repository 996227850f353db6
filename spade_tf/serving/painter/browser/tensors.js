// What a generator takes, and what it gives.

// 1.0 in the channel of each pixel's id. Where there is a channel more, it has 1.0 on both sides of
// the edges between classes: nobody paints where one tree ends and the next begins.
export function semanticsOf(ids, {width, height, channels, numIds}) {
  const values = new Float32Array(ids.length * channels);
  for (let pixel = 0; pixel < ids.length; ++pixel) values[pixel * channels + ids[pixel]] = 1;
  if (channels > numIds) {
    const mark = (one, other) => {
      if (ids[one] === ids[other]) return;
      values[one * channels + numIds] = values[other * channels + numIds] = 1;
    };
    for (let y = 0, pixel = 0; y < height; ++y) {
      for (let x = 0; x < width; ++x, ++pixel) {
        if (x + 1 < width) mark(pixel, pixel + 1);
        if (y + 1 < height) mark(pixel, pixel + width);
      }
    }
  }
  return values;
}

// Red, green and blue in [-1, 1] as bytes.
export function bytesOf(picture) {
  const bytes = new Uint8ClampedArray(picture.length);
  // Stores round to the nearest.
  for (let i = 0; i < picture.length; ++i) bytes[i] = (picture[i] + 1) * 127.5;
  return new Uint8Array(bytes.buffer);
}

// Bands of all classes: what a model is tried on.
export function bands({width, height, numIds}) {
  return Uint8Array.from({length: width * height},
    (_, pixel) => Math.floor(Math.floor(pixel / width) * numIds / height));
}

// The mean of a picture in each cell of a grid of `count` by `count`; NaN anywhere stays one.
export function cellMeans(picture, {width, height}, count) {
  const means = [];
  for (let cell = 0; cell < count * count; ++cell) {
    const edge = (index, size) => Math.floor(index * size / count);
    const [row, column] = [Math.floor(cell / count), cell % count];
    const [top, bottom] = [edge(row, height), edge(row + 1, height)];
    const [left, right] = [edge(column, width), edge(column + 1, width)];
    let sum = 0;
    for (let y = top; y < bottom; ++y) {
      for (let i = 3 * (y * width + left); i < 3 * (y * width + right); ++i) sum += picture[i];
    }
    means.push(sum / (3 * (bottom - top) * (right - left)));
  }
  return means;
}
