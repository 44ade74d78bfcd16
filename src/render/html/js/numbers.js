// Numbers as the rest of dumpmap writes them.

const PAGE = 4096;

const group = (n) => n.toLocaleString("en-US");
const counted = (n, noun) => `${group(n)} ${noun}${n === 1 ? "" : "s"}`;

// VMMap's K, rounded up, so that what is there never reads as nothing.
function kib(bytes) {
  if (bytes === null || bytes === undefined) return "?";
  if (bytes === 0) return "0";
  let value = Math.ceil(bytes / 1024);
  let unit = "K";
  for (const next of ["M", "G", "T", "P"]) {
    if (value < 10000000) break;
    value = Math.ceil(value / 1024);
    unit = next;
  }
  return `${group(value)} ${unit}`;
}

// 61.9 MiB
function human(bytes) {
  if (bytes === null || bytes === undefined) return "?";
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let unit = 0;
  let value = bytes / 1024;
  while (value >= 1024 && unit + 1 < units.length) {
    value /= 1024;
    unit += 1;
  }
  const digits = Number.isInteger(value) ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

const percent = (part, whole) => (whole > 0 ? `${((part / whole) * 100).toFixed(1)} %` : "?");

// 64M, 1.5GiB, 0x4000, 65536; null for anything else.
function parseSize(text) {
  const hex = /^0x([0-9a-f]+)$/i.exec(text.trim());
  if (hex) return parseInt(hex[1], 16);
  const match = /^([0-9.]+)\s*([kmgt]?)(i?b)?$/i.exec(text.trim());
  if (!match || Number.isNaN(Number(match[1]))) return null;
  return Number(match[1]) * 1024 ** ["", "k", "m", "g", "t"].indexOf(match[2].toLowerCase());
}

// An address is a page and a rest: JavaScript's numbers hold 53 bits.
function hexAt(page, rest) {
  const digits = page > 0 ? page.toString(16) + rest.toString(16).padStart(3, "0") : rest.toString(16);
  return `0x${digits.padStart(model.bits === 32 ? 8 : 12, "0")}`;
}

// As people paste them: 0x7ff6e7900000, 7ff6e7900000, 7ff6`e7900000.
function parseAddress(text) {
  const digits = text.trim().replaceAll("`", "").replace(/^0x/i, "");
  if (!/^[0-9a-f]{1,16}$/i.test(digits)) return null;
  const value = BigInt(`0x${digits}`);
  return { page: Number(value >> 12n), rest: Number(value & 0xfffn) };
}

// Where an address is among pages, as one number.
const place = (address) => address.page + address.rest / PAGE;
