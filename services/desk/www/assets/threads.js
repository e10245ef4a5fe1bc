// The threads page: the patient's dump in groups, the locks that somebody waits for, and the sources.
import {findLocks, firstOwn, groupThreads, ownPath, parseDump} from './dump.js';
import {createListing, sourcePage} from './listing.js';

const NAMES_MAX = 12;
const place = id => document.getElementById(id);

// create('p', {className: 'soft'}, 'text', element, ...)
function create(tag, properties, ...content) {
	const element = Object.assign(document.createElement(tag), properties);

	element.append(...content);
	return element;
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;
const quote = name => `“${name}”`;
const short = file => file.split('/').pop();

// ---- frames ----

function linkTo({file, line}) {
	const path = ownPath(file);

	return path
		? create('a', {href: sourcePage(path, line)}, `${path.replace('services/', '')}:${line}`)
		: create('span', {}, line ? `${file}:${line}` : file);
}

function createFrame(frame) {
	const own = ownPath(frame.file);

	return create('li', {className: own && !own.startsWith('services/probe/') ? 'own' : ''},
		create('span', {className: 'function'}, frame.function), linkTo(frame));
}

const createFrames = frames => create('ol', {className: 'frames'}, ...frames.map(createFrame));

// A click on a place shows the lines below it, and hides them again; as a link it leads to the whole file.
async function toggleListing(link) {
	const frame = link.closest('li');
	const shown = frame.querySelector('.listing');
	const wanted = new URL(link.href).searchParams;

	if (shown) {
		shown.remove();
		link.setAttribute('aria-expanded', false);
		return;
	}
	frame.append(await createListing(wanted.get('file'), Number(wanted.get('line')))
		.catch(error => create('p', {className: 'listing empty'}, error.message)));
	link.setAttribute('aria-expanded', true);
}

place('groups').addEventListener('click', event => {
	const link = event.target.closest('.frames a');

	if (!link || event.ctrlKey || event.metaKey || event.shiftKey)
		return;
	event.preventDefault();
	toggleListing(link);
});

// ---- groups ----

// "up to 2 minutes"
function spellWaits(threads) {
	const longest = threads.reduce((a, b) => b.waitedMs > a.waitedMs ? b : a);

	if (!longest.waited)
		return '';
	return `${threads.length > 1 ? 'up to ' : ''}${longest.waited}`;
}

function spellNames(threads) {
	const names = threads.slice(0, NAMES_MAX).map(thread => `${thread.tid} ${quote(thread.name)}`);
	const rest = threads.length - names.length;

	return names.join(', ') + (rest ? ` and ${rest} more` : '');
}

function createWaits(threads) {
	const objects = new Set(threads.filter(thread => thread.wait)
		.map(({wait: {kind, object}}) => `${kind} ${object}`));

	if (!objects.size)
		return [];
	return [create('p', {className: 'waits'}, objects.size > 3
		? `wait for ${objects.size} different objects`
		: `${threads.length > 1 ? 'wait' : 'waits'} for ${[...objects].join(', ')}`)];
}

function createBody({threads}) {
	const [{frames, creators, note}] = threads;

	return create('div', {},
		create('p', {className: 'waits soft'}, spellNames(threads)),
		...createWaits(threads),
		...(frames.length ? [createFrames(frames)] : []),
		...(note ? [create('p', {className: 'soft'}, note)] : []),
		...(creators.length ? [create('p', {className: 'waits soft'}, 'created by'), createFrames(creators)] : []));
}

function createGroup(group, id) {
	const [{frames, state, name}] = group.threads;
	const at = firstOwn(frames);
	const waits = spellWaits(group.threads);
	const element = create('details', {className: 'group', id},
		create('summary', {},
			create('span', {className: 'count'}, `${group.threads.length} ×`),
			create('span', {className: 'where'},
				create('b', {}, at ? at.function : name), ' ',
				create('span', {className: 'soft'}, at ? `${short(at.file)}:${at.line}` : '')),
			create('span', {className: 'chip'}, waits ? `${state}, ${waits}` : state)));

	// Most are never opened, and a thousand threads may have many frames.
	element.addEventListener('toggle', () => {
		if (element.open && !element.querySelector('div'))
			element.append(createBody(group));
	});
	return element;
}

// ---- locks ----

function createWaiters({waiters}, ids) {
	const at = firstOwn(waiters[0].frames);

	return create('div', {},
		create('h2', {}, create('a', {href: `#${ids.get(waiters[0])}`},
			`${count(waiters.length, 'thread')} ${waiters.length === 1 ? 'waits' : 'wait'}`)),
		create('p', {}, `${spellWaits(waiters)}, in `, create('b', {}, at.function), ' at ', linkTo(at)));
}

function createMutex({object}) {
	const [, name, address] = object.match(/^(.*?)(?: \((0x[0-9a-f]+)\))?$/);

	return create('div', {className: 'mutex'}, create('h2', {}, 'mutex'),
		create('p', {}, create('b', {className: 'mono'}, name)),
		create('p', {className: 'soft mono'}, address ?? ''));
}

function createHolder({holder, locked}, ids) {
	const id = ids.get(holder), at = firstOwn(holder.frames ?? []);
	const title = `held by thread ${holder.tid}${holder.name ? ` ${quote(holder.name)}` : ''}`;

	return create('div', {className: 'holder'},
		create('h2', {}, id ? create('a', {href: `#${id}`}, title) : title),
		...(locked ? [create('p', {}, 'locked it in ', create('b', {}, locked.function), ' at ', linkTo(locked))] : []),
		...(at ? [create('p', {}, 'and is now in ', create('b', {}, at.function), ' at ', linkTo(at))] : []));
}

const createLock = (lock, ids) => create('section', {className: 'lock', ariaLabel: `mutex ${lock.object}`},
	createWaiters(lock, ids), createMutex(lock), createHolder(lock, ids));

// A link to a group opens it, also when it is followed a second time.
function openTarget() {
	const target = location.hash && place(location.hash.slice(1));

	if (target?.matches?.('.group')) {
		target.hidden = false;
		target.open = true;
		target.scrollIntoView();
	}
}

place('locks').addEventListener('click', event => {
	if (event.target.closest('a[href^="#"]'))
		setTimeout(openTarget);
});

// ---- the page ----

let shown = []; // of each group {element, text}
let head = '';

function filter() {
	const words = place('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
	let left = 0;

	for (const {element, text} of shown) {
		element.hidden = !words.every(word => text.includes(word));
		left += !element.hidden;
	}
	place('summary').textContent = words.length ? `${head}; ${left} of them shown` : head;
}

// What the filter looks in. Frames are those of all threads of the group.
function textOf({threads}) {
	const [{state, frames, creators}] = threads;

	return JSON.stringify([state, frames, creators,
		threads.map(({tid, name, wait}) => [tid, name, wait?.kind, wait?.object])]).toLowerCase();
}

function show(text) {
	const threads = parseDump(text), locks = findLocks(threads), ids = new Map();
	const involved = new Set(locks.flatMap(({holder, waiters}) => [holder, ...waiters]));
	const isInvolved = group => group.threads.some(thread => involved.has(thread));
	const groups = groupThreads(threads).sort((a, b) =>
		isInvolved(b) - isInvolved(a) || b.threads.length - a.threads.length);

	shown = groups.map((group, number) => {
		for (const thread of group.threads)
			ids.set(thread, `group-${number + 1}`);
		return {element: createGroup(group, `group-${number + 1}`), text: textOf(group)};
	});
	place('groups').replaceChildren(...shown.map(({element}) => element));
	place('locks').replaceChildren(...locks.map(lock => createLock(lock, ids)));
	head = `${count(threads.length, 'thread')} in ${count(groups.length, 'group')} of equal stacks, ` +
		`at ${new Date().toLocaleTimeString()}`;
	filter();
}

// Throws an Error whose message is a sentence.
async function fetchDump() {
	const response = await fetch('/patient/threads').catch(() => {
		throw new Error('The desk does not answer; try again when it is back.');
	});
	const text = await response.text();

	if (!response.ok)
		throw new Error(text.trim());
	return text;
}

async function look() {
	place('summary').textContent = 'asking the patient …';
	try {
		show(await fetchDump());
	} catch (error) {
		place('summary').textContent = error.message;
	}
}

place('filter').addEventListener('input', filter);
place('tools').addEventListener('submit', event => {
	event.preventDefault();
	look();
});
await look();
openTarget();
