// The page around the viewer's engine: opens ?url=…, a file, or what a page of this origin sends by
// postMessage ("PING" is answered with "PONG", as ui.perfetto.dev does).
import {fetchTrace, handOver, nameOf} from '/assets/handover.js';

const ENGINE = 'perfetto/frontend_bundle.js';
// Who may send a trace.
const SENDERS = [location.origin];

const element = id => document.getElementById(id);
let shown = null; // {title, buffer}

// The engine has no other way to be told than two globals of its own.
function loadEngine() {
	return new Promise((resolve, reject) => {
		const script = document.createElement('script');

		window.addEventListener('perfetto-ready', resolve, {once: true});
		script.onerror = reject;
		script.src = ENGINE;
		document.head.append(script);
	});
}

function say(text) {
	element('status').textContent = text;
	element('status').title = text;
}

function notice(...content) {
	const paragraph = document.createElement('p');

	paragraph.append(...content);
	element('notice').replaceChildren(paragraph);
	element('notice').hidden = false;
}

function noticeMissingEngine() {
	const command = document.createElement('code');

	command.textContent = 'make up';
	notice('The viewer’s engine, a package of npm, is not in this image. ' +
		'Once this machine is online, type ', command, ' in Sickbay’s folder, and load this page again. ' +
		'Until then the trace can be downloaded, or opened in ui.perfetto.dev.');
}

// Everything that is opened goes this way. BUFFER stays ours: the engine gets a copy.
function show(title, buffer) {
	const download = element('download');

	shown = {title, buffer};
	document.title = `${title} – Sickbay`;
	element('name').textContent = title;
	URL.revokeObjectURL(download.href);
	download.href = URL.createObjectURL(new Blob([buffer]));
	download.download = title;
	download.hidden = element('handover').hidden = false;
	say('');
	engine.then(() => {
		element('notice').hidden = true;
		globals.dispatch(Actions.openTraceFromBuffer({buffer: buffer.slice(0), title, fileName: title}));
	}, () => {}); // a missing engine was noticed already
}

// Runs ACTION; what it throws is a sentence for the reader.
async function attempt(action) {
	try {
		await action();
	} catch (error) {
		say(error.message);
	}
}

function openUrl(url) {
	return attempt(async () => {
		const address = new URL(url, location.href);

		if (address.origin !== location.origin)
			throw new Error('Only traces of this desk can be opened by ?url=, for example ?url=/captures/NAME.pftrace');
		say('loading …');
		show(nameOf(address), await fetchTrace(address));
	});
}

const engine = loadEngine();
const wanted = new URLSearchParams(location.search).get('url');

engine.catch(noticeMissingEngine);
if (wanted)
	openUrl(wanted);
else
	notice('Open a trace: choose one on ', Object.assign(document.createElement('a'),
		{href: '/', textContent: 'the desk'}), ', or a file of yours with “Open file”.');

element('file').addEventListener('change', event => attempt(async () => {
	const [file] = event.target.files;

	event.target.value = ''; // so that the same file can be chosen again
	show(file.name, await file.arrayBuffer());
}));

element('handover').addEventListener('click', () => attempt(() =>
	handOver(shown.title, async () => shown.buffer)));

window.addEventListener('message', event => {
	if (!SENDERS.includes(event.origin))
		return;
	if (event.data === 'PING')
		event.source.postMessage('PONG', event.origin);
	else if (event.data?.perfetto?.buffer instanceof ArrayBuffer)
		show(event.data.perfetto.title ?? 'trace', event.data.perfetto.buffer);
});
