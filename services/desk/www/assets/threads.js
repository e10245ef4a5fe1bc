// The threads page: the patient's dump in groups, the locks that somebody waits for, and the sources.
import {findLocks, firstOwn, groupThreads, ownPath, parseDump} from './dump.js';
import {element} from './element.js';
import {createListing, sourcePage} from './listing.js';

const NAMES_MAX = 12;
const place = id => document.getElementById(id);

const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;
const quote = name => `“${name}”`;
const short = file => file.split('/').pop();

// ---- frames ----

function linkTo({file, line}) {
	const path = ownPath(file);

	return path
		? element('a', {href: sourcePage(path, line)}, `${path.replace('services/', '')}:${line}`)
		: element('span', {}, line ? `${file}:${line}` : file);
}

function createFrame(frame) {
	const own = ownPath(frame.file);

	return element('li', {className: own && !own.startsWith('services/probe/') ? 'own' : ''},
		element('span', {className: 'function'}, frame.function), linkTo(frame));
}

const createFrames = frames => element('ol', {className: 'frames'}, ...frames.map(createFrame));

// A click on a place shows the lines below it, and hides them again; as a link it leads to the whole file.
async function toggleListing(link) {
	const frame = link.closest('li');
	const shown = frame.querySelector('.shown');
	const wanted = new URL(link.href).searchParams;

	if (shown) {
		shown.remove();
		link.setAttribute('aria-expanded', false);
		return;
	}
	const place = element('div', {className: 'shown'}); // at once: the next click closes it

	frame.append(place);
	link.setAttribute('aria-expanded', true);
	place.append(await createListing(wanted.get('file'), Number(wanted.get('line')))
		.catch(error => element('p', {className: 'empty'}, error.message)));
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
	return [element('p', {className: 'waits'}, objects.size > 3
		? `wait for ${objects.size} different objects`
		: `${threads.length > 1 ? 'wait' : 'waits'} for ${[...objects].join(', ')}`)];
}

function createBody({threads}) {
	const [{frames, creators, note}] = threads;

	return element('div', {},
		element('p', {className: 'waits soft'}, spellNames(threads)),
		...createWaits(threads),
		...(frames.length ? [createFrames(frames)] : []),
		...(note ? [element('p', {className: 'soft'}, note)] : []),
		...(creators.length ? [element('p', {className: 'waits soft'}, 'created by'), createFrames(creators)] : []));
}

function createGroup(group, id) {
	const [{frames, state, name}] = group.threads;
	const at = firstOwn(frames);
	const waits = spellWaits(group.threads);
	const details = element('details', {className: 'group', id},
		element('summary', {},
			element('span', {className: 'count'}, `${group.threads.length} ×`),
			element('span', {className: 'where'},
				element('b', {}, at ? at.function : name), ' ',
				element('span', {className: 'soft'}, at ? `${short(at.file)}:${at.line}` : '')),
			element('span', {className: 'chip'}, waits ? `${state}, ${waits}` : state)));

	// Most are never opened, and a thousand threads may have many frames.
	details.addEventListener('toggle', () => {
		if (details.open && !details.querySelector('div'))
			details.append(createBody(group));
	});
	return details;
}

// ---- locks ----

function createWaiters({waiters}, ids) {
	// A stack that could not be walked has no frames.
	const shown = waiters.find(({frames}) => frames.length) ?? waiters[0];
	const at = firstOwn(shown.frames);

	return element('div', {},
		element('h2', {}, element('a', {href: `#${ids.get(shown)}`},
			`${count(waiters.length, 'thread')} ${waiters.length === 1 ? 'waits' : 'wait'}`)),
		element('p', {}, spellWaits(waiters),
			...(at ? [', in ', element('b', {}, at.function), ' at ', linkTo(at)] : [])));
}

function createMutex({object}) {
	const [, name, address] = object.match(/^(.*?)(?: \((0x[0-9a-f]+)\))?$/);

	return element('div', {className: 'mutex'}, element('h2', {}, 'mutex'),
		element('p', {}, element('b', {className: 'mono'}, name)),
		element('p', {className: 'soft mono'}, address ?? ''));
}

function createHolder({holder, locked}, ids) {
	const id = ids.get(holder), at = firstOwn(holder.frames ?? []);
	const title = `held by thread ${holder.tid}${holder.name ? ` ${quote(holder.name)}` : ''}`;

	return element('div', {className: 'holder'},
		element('h2', {}, id ? element('a', {href: `#${id}`}, title) : title),
		...(locked ? [element('p', {}, 'locked it in ', element('b', {}, locked.function), ' at ', linkTo(locked))] : []),
		...(at ? [element('p', {}, 'and is now in ', element('b', {}, at.function), ' at ', linkTo(at))] : []));
}

const createLock = (lock, ids) => element('section', {className: 'lock', ariaLabel: `mutex ${lock.object}`},
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

let shown = []; // of each group {details, text}
let head = '';

function filter() {
	const words = place('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
	let left = 0;

	for (const {details, text} of shown) {
		details.hidden = !words.every(word => text.includes(word));
		left += !details.hidden;
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
		return {details: createGroup(group, `group-${number + 1}`), text: textOf(group)};
	});
	place('groups').replaceChildren(...shown.map(({details}) => details));
	place('locks').replaceChildren(...locks.map(lock => createLock(lock, ids)));
	head = `${count(threads.length, 'thread')} in ${count(groups.length, 'group')} of equal stacks, ` +
		`at ${new Date().toLocaleTimeString([], {hourCycle: 'h23'})}`;
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
