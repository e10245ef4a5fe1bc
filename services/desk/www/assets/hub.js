// What the desk tells every open page, and how a page asks it for something.
import {element} from './element.js';

const AGAIN_MS = 2000;
// A stream that begins anew at once, as after a restart, is no news.
const PATIENCE_MS = 700;
// The desk says each second how the patient is. If it is silent for so long it is frozen, or the way to it
// is gone without a word, as when a laptop slept.
const SILENT_MS = 5000;

const listeners = new Map(); // event -> functions
let source = null;
let silence = null; // a timer while the stream is interrupted
let watch = null; // a timer, set anew by all that is heard

function heard(isHeard) {
	const banner = document.getElementById('banner');

	if (isHeard) {
		clearTimeout(silence);
		silence = null;
		banner.textContent = '';
	} else {
		silence ??= setTimeout(() => {
			banner.textContent = 'The desk does not answer. What is shown here may be old; the page goes on by itself.';
		}, PATIENCE_MS);
	}
}

function awaitNext() {
	clearTimeout(watch);
	watch = setTimeout(() => {
		heard(false);
		hub.open();
	}, SILENT_MS);
}

export const hub = {
	// FN is called with the object of each EVENT. Those that the desk keeps come again with each connection.
	on(event, fn) {
		const tell = message => {
			heard(true);
			awaitNext();
			fn(JSON.parse(message.data));
		};

		listeners.set(event, [...(listeners.get(event) ?? []), tell]);
		source?.addEventListener(event, tell);
	},

	// After those who must not miss the first word have come. A page that nobody sees has no stream: a browser
	// gives all pages of the desk six connections between them.
	open() {
		source?.close();
		source = null;
		clearTimeout(watch);
		if (document.hidden) {
			heard(true);
			return;
		}
		source = new EventSource('/events');
		awaitNext();
		for (const [event, functions] of listeners)
			for (const tell of functions)
				source.addEventListener(event, tell);
		source.addEventListener('error', ({target}) => {
			heard(false);
			// Otherwise the browser tries again itself.
			if (target.readyState === EventSource.CLOSED)
				setTimeout(hub.open, AGAIN_MS);
		});
	},
};

// Shows SENTENCE until the reader or the next one sends it away; '' shows none.
export function say(sentence) {
	const box = document.getElementById('sentence');
	const close = element('button', {}, 'Close');

	box.replaceChildren();
	if (!sentence)
		return;
	close.addEventListener('click', () => say(''));
	box.append(element('p', {}, sentence), close);
}

// Asks the desk to do something. FIELDS: an object. Returns whether it did; if not, its sentence is shown.
export async function post(path, fields = {}) {
	let refusal = '';

	try {
		const response = await fetch(path, {method: 'POST', body: new URLSearchParams(fields)});
		const text = (await response.text()).trim();

		if (!response.ok)
			refusal = text || `The desk answered ${response.status}.`;
	} catch {
		refusal = 'The desk does not answer; try again when it is back.';
	}
	say(refusal);
	return !refusal;
}
