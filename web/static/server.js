// The page's ways to its server: questions, deeds, and the stream of views.

let token = null;

export class RefusedError extends Error {}

async function session() {
  const response = await fetch("/api/session");
  if (response.status === 401) location.assign("/login");
  if (!response.ok) throw new RefusedError("the page's server does not answer");
  const found = await response.json();
  token = found.token;
  return found;
}
export { session };

/** Ask for `/api/NAME` with a query; what is empty is left out. */
export async function ask(name, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const response = await fetch(`/api/${name}?${new URLSearchParams(given)}`);
  if (response.status === 401) location.assign("/login");
  const found = await response.json();
  if (!response.ok) throw new RefusedError(found.error ?? `the server says ${response.status}`);
  return found;
}

async function post(path, body) {
  return fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-fusebox-token": token ?? "" },
    body: JSON.stringify(body),
  });
}

/** Have something done; a page that is older than its server fetches a new token and tries once more. */
export async function act(name, body) {
  let response = await post(`/api/actions/${name}`, body);
  if (response.status === 403) {
    await session();
    response = await post(`/api/actions/${name}`, body);
  }
  if (response.status === 401) location.assign("/login");
  const found = await response.json();
  if (!response.ok) throw new RefusedError(found.error ?? `the server says ${response.status}`);
  return found;
}

export async function logout() {
  await post("/logout", {});
  location.assign("/login");
}

/** Follow the stream for good: `seen` gets each view, `lost` hears of every break. */
export function follow(seen, lost) {
  const silence = 8000;
  let source = null;
  let last = Date.now();
  const open = () => {
    source?.close();
    last = Date.now();
    source = new EventSource("/api/stream");
    source.onmessage = (event) => {
      last = Date.now();
      seen(JSON.parse(event.data));
    };
    source.onerror = () => {
      lost();
      if (source.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
      setTimeout(() => session().then(open, () => setTimeout(open, 1000)), 1000);
    };
  };
  open();
  setInterval(() => {
    if (Date.now() - last > silence) {
      lost();
      open();
    }
  }, 2000);
}
