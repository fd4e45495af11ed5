// Numbers as people compare them: decimal, hexadecimal, bits, and how many representable numbers apart.
function rounded(value) {
  if (typeof value !== "number") return { inf: "∞", "-inf": "−∞", nan: "NaN" }[value] ?? String(value ?? "");
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value).replace("-", "−");
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

function real(value) {
  return typeof value === "number" ? value : { nan: NaN, inf: Infinity, "-inf": -Infinity }[value];
}

// C99's %a: the value exactly, as Python's float.hex writes it.
function hexfloat(value) {
  if (!Number.isFinite(value)) return String(value);
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const sign = bits >> 63n ? "−" : "";
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = (bits & 0xfffffffffffffn).toString(16).padStart(13, "0").replace(/0+$/, "");
  if (value === 0) return `${sign}0x0p+0`;
  const power = exponent ? exponent - 1023 : -1022;
  return `${sign}0x${exponent ? 1 : 0}${fraction ? `.${fraction}` : ""}p${power < 0 ? "−" : "+"}${Math.abs(power)}`;
}

const LAYOUTS = { float16: [5, 10], bfloat16: [8, 7], float32: [8, 23], float64: [11, 52] };

// The bits of a value in a format, rounded to nearest even, as a BigInt; null for what is no such format.
function bitsOf(value, dtype) {
  const layout = LAYOUTS[dtype];
  if (!layout || value === undefined) return null;
  const [exponentBits, fractionBits] = layout;
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = Object.is(value, -0) || value < 0 ? 1n << BigInt(exponentBits + fractionBits) : 0n;
  const top = BigInt(2 ** exponentBits - 1) << BigInt(fractionBits);
  if (Number.isNaN(value)) return top | (1n << BigInt(fractionBits - 1));
  const size = Math.abs(value);
  if (size === Infinity) return sign | top;
  if (size === 0) return sign;
  let power = Math.floor(Math.log2(size));
  if (2 ** power > size) power -= 1;
  if (2 ** (power + 1) <= size) power += 1;
  power = Math.max(power, 1 - bias);
  const scaled = (size / 2 ** power) * 2 ** fractionBits; // exact: a power of two
  let whole = Math.floor(scaled);
  const rest = scaled - whole;
  if (rest > 0.5 || (rest === 0.5 && whole % 2 === 1)) whole += 1;
  // a carry into the exponent is the next binade, and past the last it is infinity
  const code = BigInt(whole) + (BigInt(power + bias - 1) << BigInt(fractionBits));
  return sign | (code > top ? top : code);
}

function bitsText(value, dtype) {
  const bits = bitsOf(value, dtype);
  return bits === null ? "" : `0x${bits.toString(16).padStart((1 + LAYOUTS[dtype][0] + LAYOUTS[dtype][1]) / 4, "0")}`;
}

// How many steps from number to number of the format lie between two values; null where one is not finite.
function apart(a, b, dtype) {
  if (!LAYOUTS[dtype] || !Number.isFinite(a) || !Number.isFinite(b)) return null;
  const line = (value) => {
    const width = BigInt(LAYOUTS[dtype][0] + LAYOUTS[dtype][1]);
    const bits = bitsOf(value, dtype);
    const size = bits & ((1n << width) - 1n);
    return bits >> width ? -size : size;
  };
  const distance = line(a) - line(b);
  return distance < 0n ? -distance : distance;
}

// A kept array as plain numbers; BigInt for 64-bit integers, so that no digit is lost.
function numbers(known, place) {
  const { dtype, shape, at } = known.arrays[place];
  const count = shape.reduce((product, size) => product * size, 1);
  const half = (bits, exponentBits, fractionBits) => {
    const [exponent, fraction] = [(bits >> fractionBits) & (2 ** exponentBits - 1), bits & (2 ** fractionBits - 1)];
    const bias = 2 ** (exponentBits - 1) - 1;
    const size = exponent === 2 ** exponentBits - 1 ? (fraction ? NaN : Infinity) : exponent ? (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias) : (fraction / 2 ** fractionBits) * 2 ** (1 - bias);
    return bits >> (exponentBits + fractionBits) ? -size : size;
  };
  const kinds = { float32: Float32Array, float64: Float64Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array, int16: Int16Array, uint16: Uint16Array, int32: Int32Array, uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array, float16: Uint16Array, bfloat16: Uint16Array };
  if (!kinds[dtype]) return null;
  const raw = [...new kinds[dtype](known.bytes, at, count)];
  if (dtype === "float16") return raw.map((bits) => half(bits, 5, 10));
  return dtype === "bfloat16" ? raw.map((bits) => half(bits, 8, 7)) : raw;
}
