// Exact arithmetic: fractions of big integers, and polynomials in the parameters with such coefficients.
// A number is a polynomial: a Map from exponents ("" for numbers, "1,0,2" with parameters) to fractions
// that are not zero.  Only `decimal` rounds, for texts.

const magnitude = (a) => (a < 0n ? -a : a);

function gcd(a, b) {
  a = magnitude(a);
  b = magnitude(b);
  while (b) [a, b] = [b, a % b];
  return a;
}

function fraction(n, d) {
  const common = gcd(n, d) || 1n;
  const sign = d < 0n ? -1n : 1n;
  return { n: (sign * n) / common, d: (sign * d) / common };
}

function readFraction(text) {
  const [n, d] = text.split("/");
  return fraction(BigInt(n), BigInt(d ?? "1"));
}

const addFractions = (a, b) => fraction(a.n * b.d + b.n * a.d, a.d * b.d);
const timesFractions = (a, b) => fraction(a.n * b.n, a.d * b.d);

// Four significant digits, for fractions too long to read.
function decimal({ n, d }) {
  let size = magnitude(n);
  if (!size) return "0";
  let exponent = size.toString().length - d.toString().length;
  const scaled = (e) => (e >= 0 ? (size * 1000n) / (d * 10n ** BigInt(e)) : (size * 1000n * 10n ** BigInt(-e)) / d);
  let digits = scaled(exponent);
  if (digits < 1000n) digits = scaled(--exponent);
  const value = Number(digits) / 1000;
  const shown = exponent > -4 && exponent < 6 ? String(Number((value * 10 ** exponent).toPrecision(4))) : `${value}e${exponent}`;
  return (n < 0n ? "-" : "") + shown;
}

function fractionText(value) {
  const exact = value.d === 1n ? String(value.n) : `${value.n}/${value.d}`;
  return exact.length <= 16 ? exact : `≈${decimal(value)}`;
}

const zero = new Map();
const number = (value) => (value.n ? new Map([["", value]]) : zero);
const readPolynomial = (terms) => new Map(Object.entries(terms).map(([key, text]) => [key, readFraction(text)]));

function sum(polynomials) {
  const total = new Map();
  for (const polynomial of polynomials) {
    for (const [key, value] of polynomial) {
      const next = total.has(key) ? addFractions(total.get(key), value) : value;
      if (next.n) total.set(key, next);
      else total.delete(key);
    }
  }
  return total;
}

function product(a, b) {
  const terms = [];
  for (const [left, x] of a) {
    for (const [right, y] of b) {
      const powers = left.split(",").map(Number);
      const others = right.split(",").map(Number);
      const key = left === "" ? right : right === "" ? left : powers.map((p, i) => p + others[i]).join(",");
      terms.push(new Map([[key, timesFractions(x, y)]]));
    }
  }
  return sum(terms);
}

const equal = (a, b) =>
  a.size === b.size && [...a].every(([key, { n, d }]) => b.has(key) && b.get(key).n === n && b.get(key).d === d);

function polynomialText(polynomial, parameters) {
  const term = ([key, value]) => {
    const powers = key === "" ? [] : key.split(",").map(Number);
    const names = powers.flatMap((p, i) => (p ? [p === 1 ? parameters[i] : `${parameters[i]}^${p}`] : []));
    if (!names.length) return fractionText(value);
    const one = value.d === 1n && magnitude(value.n) === 1n;
    return (one ? (value.n < 0n ? "-" : "") : `${fractionText(value)} `) + names.join(" ");
  };
  const text = [...polynomial].map(term).join(" + ").replaceAll("+ -", "- ");
  return text || "0";
}

const isNumber = (polynomial) => [...polynomial.keys()].every((key) => key.split(",").every((power) => power === "" || power === "0"));

// a / b as text; a plain fraction where both are numbers.
function ratioText(a, b, parameters) {
  if (!a.size) return "0";
  if (isNumber(b)) {
    const [{ n, d }] = b.values();
    const inverse = fraction(d, n);
    return polynomialText(new Map([...a].map(([key, value]) => [key, timesFractions(value, inverse)])), parameters);
  }
  const [[key, first]] = b;
  const { n, d } = a.get(key) ?? { n: 0n, d: 1n };
  const factor = fraction(n * first.d, d * first.n);
  if (equal(a, product(b, number(factor)))) return fractionText(factor);
  return `(${polynomialText(a, parameters)}) / (${polynomialText(b, parameters)})`;
}
