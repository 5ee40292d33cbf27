// Numbers and times as people read them. Dollars come as decimal strings, moments as unix milliseconds.

const money = new Map();
const formatter = (digits) => {
  if (!money.has(digits)) {
    money.set(digits, new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return money.get(digits);
};
const none = (value) => value === null || value === undefined || value === "" || !Number.isFinite(Number(value));

export const number = (value, digits = 2) => (none(value) ? "–" : formatter(digits).format(Number(value)));
export const signed = (value, digits = 2) => {
  if (none(value)) return "–";
  const text = formatter(digits).format(Math.abs(Number(value)));
  const zero = Number(text.replaceAll(",", "")) === 0;
  return zero ? text : `${Number(value) < 0 ? "−" : "+"}${text}`;
};
export const price = (value) => number(value, 3);
export const percent = (part, digits = 0) => (none(part) ? "–" : `${formatter(digits).format(100 * Number(part))} %`);
export const spot = (value) => {
  if (none(value)) return "–";
  const size = Math.abs(Number(value));
  return number(value, size >= 10000 ? 1 : size >= 100 ? 2 : size >= 1 ? 4 : 6);
};
/** A number of few significant digits, for axes and curves. */
export const short = (value) => {
  if (none(value)) return "–";
  const size = Math.abs(Number(value));
  if (size !== 0 && size < 0.001) return Number(value).toExponential(1).replace("-", "−").replace("e−", "e−");
  return String(Number(Number(value).toPrecision(3))).replace("-", "−");
};

const two = (value) => String(value).padStart(2, "0");
export const clock = (ms) => {
  if (none(ms)) return "–";
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
};
export const moment = (ms) => {
  if (none(ms)) return "–";
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(ms)}`;
};
/** Today's moments by their time, older ones with their date. */
export const lately = (ms) => (new Date(ms).toDateString() === new Date().toDateString() ? clock(ms) : moment(ms));
export const span = (seconds) => {
  if (none(seconds)) return "–";
  const whole = Math.max(0, Math.round(Number(seconds)));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
};
export const left = (ms) => {
  const whole = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(whole / 60)}:${two(whole % 60)}`;
};
export const age = (seconds) => (none(seconds) ? "–" : Number(seconds) < 60 ? `${Number(seconds).toFixed(1)} s` : span(seconds));
