// The panel of captures: takes them, shows how far they are, and opens them.
import {say} from './hub.js';

const MIB = 1024 * 1024;
const NEW_MS = 4000;

// element('a', {href: '/'}, 'text', child, ...)
function element(tag, properties, ...children) {
	const made = Object.assign(document.createElement(tag), properties);

	made.append(...children);
	return made;
}

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

function endingOf(name) {
	return name.match(/(\.pb\.gz|\.pb|\.prof|\.pprof|\.pftrace|\.perfetto-trace)?$/)[0];
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

async function createForm(post) {
	const kinds = await (await fetch('/capture/kinds')).json();
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
			item.remove();
}

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

async function rename(name, post) {
	const ending = endingOf(name);
	const field = element('input', {required: true, maxLength: 64, autocomplete: 'off',
		pattern: '[A-Za-z0-9_][A-Za-z0-9_.\\-]*', value: name.slice(0, name.length - ending.length)});
	const to = await ask(`Rename ${name}`, 'Rename', field, ending ? `New name, without ${ending}` : 'New name');

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

function createRow(capture, all, post) {
	const {name, viewer} = capture;
	const links = element('div', {className: 'links'});

	if (viewer === 'pprof')
		links.append(...pprofLinks(name),
			createButton('Compare with…', name, () => compare(capture, all())));
	if (viewer === 'timeline')
		links.append(element('a', {href: `/viewer/?url=/captures/${name}`}, 'Timeline'));
	links.append(element('a', {href: `/captures/${name}`, download: name}, 'Download'),
		createButton('Rename…', name, () => rename(name, post)),
		createButton('Delete…', name, () => remove(name, post)));
	return element('tr', {}, element('td', {className: 'name'}, name),
		element('td', {}, spellTime(capture.time)), element('td', {}, spellStep(capture)),
		element('td', {}, capture.kind ?? ''),
		element('td', {className: 'size'}, spellSize(capture.size_bytes)), element('td', {}, links));
}

// Rows that stay as they were are not touched: the focus may be in one.
function createTable(post) {
	const body = element('tbody', {});
	const rows = new Map(); // name -> {text, row}
	let captures = [];

	function show(news) {
		const kept = new Set(news.map(({name}) => name));
		let at;

		captures = news;
		for (const [name, {row}] of rows)
			if (!kept.has(name)) {
				row.remove();
				rows.delete(name);
			}
		at = body.firstChild;
		for (const capture of news) {
			const text = JSON.stringify(capture), old = rows.get(capture.name);
			const row = old?.text === text ? old.row : createRow(capture, () => captures, post);

			if (old && old.row !== row) {
				if (old.row === at)
					at = at.nextSibling;
				old.row.remove();
			}
			rows.set(capture.name, {text, row});
			if (row === at)
				at = at.nextSibling;
			else
				body.insertBefore(row, at);
		}
	}

	function flash(name) {
		const row = rows.get(name)?.row;

		row?.classList.add('new');
		setTimeout(() => row?.classList.remove('new'), NEW_MS);
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

function spellSum({captures, older_count: olderCount, total_bytes: totalBytes, max_bytes: maxBytes}) {
	const older = olderCount > 0 ? ` ${olderCount} older ones are not listed, but lie there still.` : '';

	return `${captures.length + olderCount} captures, ${spellSize(totalBytes)} of ${Math.round(maxBytes / MIB)} MiB.${older}`;
}

export async function mount(panel, hub, post) {
	const takings = element('ul', {className: 'takings'});
	const word = element('p', {className: 'soft', role: 'status'});
	const why = element('p', {className: 'why'}), sum = element('p', {className: 'soft'});
	const empty = element('p', {className: 'empty'},
		'Nothing was captured yet. Choose what to look at, and press Take.');
	const kernel = element('p', {className: 'soft'}, 'What the kernel does for the patient, on the same time line: ',
		element('code', {}, 'make trace KERNEL=1'), ' on the machine that runs the stack.');
	const list = createTable(post);
	let arrived = null;

	list.table.hidden = true;
	hub.on('captures', news => {
		list.show(news.captures);
		list.table.hidden = news.captures.length === 0;
		empty.hidden = !list.table.hidden;
		why.textContent = news.why;
		sum.textContent = spellSum(news);
		if (arrived)
			list.flash(arrived);
		arrived = null;
	});
	hub.on('taking', news => showTakings(takings, news, post));
	hub.on('taken', ({name, kept, why: reason}) => {
		arrived = kept ? name : null;
		word.textContent = kept ? `${name} is there.` : `${name} was not kept. ${reason}`;
	});
	panel.append(await createForm(post), takings, word, why, empty, list.table, sum, kernel);
}
