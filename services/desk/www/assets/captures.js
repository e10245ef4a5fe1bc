// The panel of captures: takes them, shows how far they are, and opens them.
import {element} from './element.js';
import {say} from './hub.js';

const MIB = 1024 * 1024;
const NEW_MS = 4000;
const AGAIN_MS = 2000;
const TOLD = 'captures-told'; // in the tab's memory: the last end that it was told

function spellSize(bytes) {
	if (bytes < 1000)
		return `${bytes} B`;
	return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function spellTime(seconds) {
	const time = new Date(seconds * 1000);
	const isToday = time.toDateString() === new Date().toDateString();

	return element('time', {dateTime: time.toISOString(), title: time.toLocaleString()},
		isToday ? time.toLocaleTimeString([], {hourCycle: 'h23'}) : time.toLocaleDateString());
}

function spellStep(capture) {
	if (capture.step === null)
		return '';
	return `${capture.step}${capture.variant === 'fixed' ? ', fixed' : ''}`;
}

// ---- a question ----

// Asks for the value of FIELD, an input or a select, or only whether to. Resolves with it, or with null.
function ask(title, button, field, labelText) {
	const no = element('button', {type: 'button'}, 'Cancel');
	const dialog = element('dialog', {},
		element('form', {method: 'dialog'}, element('h3', {id: 'question'}, title),
			...field ? [element('label', {}, labelText, field)] : [],
			element('div', {className: 'row'},
				element('button', {className: 'primary', value: 'yes'}, button), no)));

	dialog.setAttribute('aria-labelledby', 'question');
	no.addEventListener('click', () => dialog.close());
	document.body.append(dialog);
	dialog.showModal();
	return new Promise(resolve => dialog.addEventListener('close', () => {
		resolve(dialog.returnValue === 'yes' ? field?.value ?? '' : null);
		dialog.remove();
	}));
}

// ---- the form ----

// The desk may be away just now.
async function fetchKinds() {
	for (;;) {
		const response = await fetch('/capture/kinds').catch(() => null);

		if (response?.ok)
			return response.json();
		await new Promise(resolve => setTimeout(resolve, AGAIN_MS));
	}
}

function createForm(kinds, post) {
	const kind = element('select', {name: 'kind'}, ...kinds.map(({kind: value, does}) =>
		element('option', {value}, `${value}: ${does}`)));
	const seconds = element('input', {name: 'seconds', type: 'number', max: 300, required: true});
	const name = element('input', {name: 'name', maxLength: 64, autocomplete: 'off', placeholder: 'before',
		pattern: '[A-Za-z0-9_][A-Za-z0-9_.\\-]*'});
	const form = element('form', {className: 'take'}, element('label', {}, 'Capture', kind),
		element('label', {}, 'Seconds', seconds), element('label', {}, 'Name (if you like)', name),
		element('button', {className: 'primary'}, 'Take'));

	function suggest() {
		const {seconds: usual, needs_window: needsWindow} = kinds.find(one => one.kind === kind.value);

		seconds.min = needsWindow ? 1 : 0;
		seconds.value = usual;
		seconds.title = needsWindow ? '' : '0: as it is now; more: what changes meanwhile';
	}

	kind.addEventListener('change', suggest);
	suggest();
	form.addEventListener('submit', event => {
		event.preventDefault();
		post('/capture/take', Object.fromEntries(new FormData(form)));
	});
	return form;
}

// ---- the focus ----

// ITEM goes. If it has the focus, that moves to the same button of its neighbour, or to the form.
function leave(item) {
	const focused = item.contains(document.activeElement) && document.activeElement;
	const neighbour = item.nextElementSibling ?? item.previousElementSibling;

	item.remove();
	if (focused)
		([...neighbour?.querySelectorAll('a, button') ?? []].find(({textContent}) => textContent === focused.textContent) ??
			document.querySelector('#captures select'))?.focus();
}

// ---- those under way ----

function spellProgress({seconds, percent, bytes}) {
	if (bytes > 0)
		return `${spellSize(bytes)} received`;
	if (seconds === 0 || percent === 100)
		return 'waiting for the patient';
	return `${Math.floor(seconds * percent / 100)} of ${seconds} s`;
}

function showTakings(list, takings, post) {
	const shown = new Map([...list.children].map(item => [Number(item.dataset.id), item]));

	for (const taking of takings) {
		if (!shown.has(taking.id)) {
			const cancel = element('button', {className: 'small', type: 'button'}, 'Cancel');

			cancel.setAttribute('aria-label', `Cancel ${taking.name}`);
			cancel.addEventListener('click', () => post('/capture/cancel', {id: taking.id}));
			const bar = element('progress', {max: 100});

			bar.setAttribute('aria-label', taking.name);
			shown.set(taking.id, element('li', {}, element('span', {}, taking.name), bar,
				element('span', {className: 'soft number'}), cancel));
			shown.get(taking.id).dataset.id = taking.id;
			list.append(shown.get(taking.id));
		}
		const [, bar, text] = shown.get(taking.id).children;

		if (taking.seconds > 0 && taking.percent < 100)
			bar.value = taking.percent;
		else
			bar.removeAttribute('value');
		text.textContent = spellProgress(taking);
	}
	for (const [id, item] of shown)
		if (!takings.some(taking => taking.id === id))
			leave(item);
}

// Of ENDED, those that this tab was not told yet, also if it showed another page meanwhile. Numbers grow.
function takeNews(ended) {
	const told = sessionStorage.getItem(TOLD);

	sessionStorage.setItem(TOLD, Math.max(told, ...ended.map(({id}) => id)));
	return told === null ? [] : ended.filter(({id}) => id > told); // a new tab has missed nothing
}

const spellEnd = ({name, kept, reason}) =>
	element('p', {className: kept ? 'soft' : 'why'}, kept ? `${name} is there.` : `${name} was not kept. ${reason}`);

// ---- those there are ----

function pprofLinks(name) {
	return [['flamegraph', 'Flame graph'], ['top', 'Top'], ['', 'Graph'], ['source', 'Source']]
		.map(([page, text]) => element('a', {href: `/pprof/${name}/${page}`}, text));
}

async function compare(capture, captures) {
	const others = captures.filter(other => other.viewer === 'pprof' && other.name !== capture.name)
		.sort((a, b) => (b.kind === capture.kind) - (a.kind === capture.kind));
	const base = element('select', {}, ...others.map(({name}) => element('option', {}, name)));

	if (others.length === 0) {
		say('There is no other capture to compare it with: take one before, and one after.');
		return;
	}
	const chosen = await ask(`Compare ${capture.name}`, 'Compare', base, 'with what was before');

	if (chosen)
		location.href = `/pprof/${capture.name}..${chosen}/flamegraph`;
}

// What a name tells of step, kind and time stays.
async function rename({name, label, kind}, post) {
	const field = element('input', {required: true, maxLength: 64, autocomplete: 'off',
		pattern: '[A-Za-z0-9_][A-Za-z0-9_.\\-]*', value: label});
	const to = await ask(`Rename ${name}`, 'Rename', field,
		kind ? 'New name; what it says of step, kind and time stays' : 'New name');

	if (to)
		post('/capture/rename', {name, to});
}

async function remove(name, post) {
	if (await ask(`Delete ${name}?`, 'Delete') !== null)
		post('/capture/delete', {name});
}

function createButton(text, name, onClick) {
	const button = element('button', {className: 'small', type: 'button'}, text);

	button.setAttribute('aria-label', `${text} ${name}`);
	button.addEventListener('click', onClick);
	return button;
}

// What a name says stays; its time and its size do not, while somebody writes it.
function createRow(capture, all, post) {
	const {name, viewer} = capture;
	const links = element('div', {className: 'links'});
	const time = element('td'), size = element('td', {className: 'size'});

	if (viewer === 'pprof')
		links.append(...pprofLinks(name),
			createButton('Compare with…', name, () => compare(capture, all())));
	if (viewer === 'timeline')
		links.append(element('a', {href: `/viewer/?url=/captures/${name}`}, 'Timeline'));
	links.append(element('a', {href: `/captures/${name}`, download: name}, 'Download'),
		createButton('Rename…', name, () => rename(capture, post)),
		createButton('Delete…', name, () => remove(name, post)));
	return {
		row: element('tr', {}, element('td', {className: 'name'}, name), time,
			element('td', {className: 'step'}, spellStep(capture)), element('td', {}, capture.kind ?? ''), size,
			element('td', {}, links)),
		show(news) {
			time.replaceChildren(spellTime(news.time));
			size.textContent = spellSize(news.size_bytes);
		},
	};
}

function createTable(post) {
	const body = element('tbody');
	const rows = new Map(); // by name
	let captures = [];

	// Rows that stay where they were are not touched: the focus may be in one.
	function show(news) {
		const kept = new Set(news.map(({name}) => name)), {activeElement: focused} = document;
		let at;

		captures = news;
		for (const [name, {row}] of rows)
			if (!kept.has(name)) {
				leave(row);
				rows.delete(name);
			}
		at = body.firstChild;
		for (const capture of news) {
			if (!rows.has(capture.name))
				rows.set(capture.name, createRow(capture, () => captures, post));
			const {row, show: update} = rows.get(capture.name);

			update(capture);
			if (row === at)
				at = at.nextSibling;
			else
				body.insertBefore(row, at);
		}
		if (body.contains(focused))
			focused.focus({preventScroll: true}); // its row was moved
	}

	// Returns whether it is there.
	function flash(name) {
		const row = rows.get(name)?.row;

		row?.classList.add('new');
		setTimeout(() => row?.classList.remove('new'), NEW_MS);
		return Boolean(row);
	}

	return {
		table: element('table', {}, element('thead', {}, element('tr', {},
			...['Name', 'Captured', 'Step', 'Kind'].map(text => element('th', {scope: 'col'}, text)),
			element('th', {scope: 'col', className: 'size'}, 'Size'),
			element('th', {scope: 'col'}, 'Open'))), body),
		show,
		flash,
	};
}

function spellSum(news) {
	const {captures, older_count: older, hidden_count: hidden, total_bytes: totalBytes, max_bytes: maxBytes} = news;

	return [`${captures.length + older} captures, ${spellSize(totalBytes)} of ${Math.round(maxBytes / MIB)} MiB.`,
		...older ? [`${older} older ones are not listed, but lie there still.`] : [],
		...hidden ? [`${hidden} files with other names are not shown: letters, digits, “.”, “_” and “-” can be in one.`]
			: [],
	].join(' ');
}

export function mount(panel, hub, post) {
	const place = element('div');
	const takings = element('ul', {className: 'takings'});
	const ends = element('div', {role: 'status'});
	const why = element('p', {className: 'why'}), sum = element('p', {className: 'soft'});
	const empty = element('p', {className: 'empty', hidden: true},
		'Nothing was captured yet. Choose what to look at, and press Take.');
	const kernel = element('p', {className: 'soft'}, 'What the kernel does for the patient, on the same time line: ',
		element('code', {}, 'make trace KERNEL=1'), ' on the machine that runs the stack, or here after ',
		element('code', {}, 'COMPOSE_PROFILES=kernel-trace make up'), '.');
	const list = createTable(post);
	let arrived = [];
	const flash = () => {
		arrived = arrived.filter(name => !list.flash(name));
	};

	list.table.hidden = true;
	hub.on('captures', news => {
		list.show(news.captures);
		list.table.hidden = news.captures.length === 0;
		empty.hidden = !list.table.hidden;
		why.textContent = news.why;
		sum.textContent = spellSum(news);
		flash();
	});
	hub.on('taking', ({takings: underWay, ended}) => {
		const news = takeNews(ended);

		showTakings(takings, underWay, post);
		if (news.length)
			ends.replaceChildren(...news.map(spellEnd));
		arrived.push(...news.filter(({kept}) => kept).map(({name}) => name));
		flash();
	});
	panel.append(place, takings, ends, why, empty, list.table, sum, kernel);
	fetchKinds().then(kinds => {
		place.replaceWith(createForm(kinds, post));
		kernel.hidden = kinds.some(({kind}) => kind === 'kernel');
	});
}
