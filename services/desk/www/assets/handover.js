// Hands a trace to ui.perfetto.dev, for people who are online: the one way out of this machine, and
// only on a click. The protocol is Perfetto's ("deep linking"): PING until the page says PONG, then
// the trace.
const PERFETTO = 'https://ui.perfetto.dev';
const PING_MS = 100;
const PATIENCE_MS = 30000;

// Resolves once PAGE is ready to take a trace.
function awaitPong(page) {
	return new Promise((resolve, reject) => {
		const ping = setInterval(() => page.postMessage('PING', PERFETTO), PING_MS);
		const end = setTimeout(() => done(reject, new Error(
			'ui.perfetto.dev did not answer within 30 s. It needs the internet; the viewer here does not.')),
		PATIENCE_MS);

		function onMessage(event) {
			if (event.source === page && event.origin === PERFETTO && event.data === 'PONG')
				done(resolve);
		}

		function done(settle, value) {
			clearInterval(ping);
			clearTimeout(end);
			window.removeEventListener('message', onMessage);
			settle(value);
		}

		window.addEventListener('message', onMessage);
	});
}

// Call it from a click: a browser opens no window otherwise. LOAD promises the trace's bytes.
// Throws an Error whose message is a sentence.
export async function handOver(title, load) {
	const page = window.open(PERFETTO);

	if (!page)
		throw new Error('The browser did not open a window for ui.perfetto.dev; allow it for this page.');
	const [buffer] = await Promise.all([load(), awaitPong(page)]);
	page.postMessage({perfetto: {buffer, title, fileName: title}}, PERFETTO);
}

// The bytes at URL. Throws an Error whose message is a sentence.
export async function fetchTrace(url) {
	const response = await fetch(url);

	if (!response.ok)
		throw new Error(`${url} could not be read: ${(await response.text()).trim()}`);
	return response.arrayBuffer();
}

export function nameOf(url) {
	return decodeURIComponent(new URL(url, location.href).pathname.split('/').pop());
}
