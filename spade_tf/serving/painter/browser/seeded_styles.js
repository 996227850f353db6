// Styles drawn by number, the same ones that the commands and servers draw (Philox, as TensorFlow
// has it in `tf.random.stateless_normal`, of the seed `[seed, 0]`).
// Reference: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".

const ROUNDS = 10;
const FACTORS = [0xd2511f53n, 0xcd9e8d57n];
const STEPS = [0x9e3779b9, 0xbb67ae85];
// The key that seeds are scrambled with.
const SCRAMBLING = [0x3ec8f720, 0x02461e29];
const SMALLEST = 1e-7;

// Four random numbers of 32 bits.
function philox(counter, key) {
  let [a, b, c, d] = counter;
  let [first, second] = key;
  for (let round = 0; round < ROUNDS; ++round) {
    const [left, right] = [FACTORS[0] * BigInt(a), FACTORS[1] * BigInt(c)];
    [a, b, c, d] = [(high(right) ^ b ^ first) >>> 0, low(right),
      (high(left) ^ d ^ second) >>> 0, low(left)];
    first = (first + STEPS[0]) >>> 0;
    second = (second + STEPS[1]) >>> 0;
  }
  return [a, b, c, d];
}

const high = (value) => Number(value >> 32n);
const low = (value) => Number(value & 0xffffffffn);

// From 0 to 1: 23 bits.
const unit = (bits) => (bits & 0x7fffff) / 0x800000;

// Two normal numbers (Box and Muller).
function normal(bits, moreBits) {
  const radius = Math.sqrt(-2 * Math.log(Math.max(unit(bits), SMALLEST)));
  const angle = 2 * Math.PI * unit(moreBits);
  return [radius * Math.sin(angle), radius * Math.cos(angle)];
}

// `seed`: a whole number. Gives `length` standard normal numbers.
export function seededStyle(seed, length) {
  const bits = BigInt.asUintN(64, BigInt(seed));
  const mixed = philox([low(bits), high(bits), 0, 0], SCRAMBLING);
  const style = new Float32Array(length);
  for (let at = 0; at < length; at += 4) {
    const [a, b, c, d] = philox([at / 4, 0, mixed[2], mixed[3]], mixed);
    const four = [...normal(a, b), ...normal(c, d)];
    for (let i = 0; i < 4 && at + i < length; ++i) style[at + i] = four[i];
  }
  return style;
}
