// The texts of the workshop: commands get a button that copies them, hints are offered one at a time.
import {element} from './element.js';

const SHOWN_MS = 1500;
const PROMPT = '$ ';
const GOES_ON = '> '; // after a line that ends in a backslash
// Heads of those columns of tables that have commands.
const COLUMNS = ['type', 'here'];
// Where the commands of a block are typed, if not in the toolbox: words after ```console run.
const PLACES = {
	host: 'On your machine',
	leaks: 'In the toolbox of the leaks',
	background: 'In a second terminal, while what follows runs',
};

// ---- commands to copy ----

// Lines of a session: {prompt, text}; what was answered has no prompt.
function readSession(text) {
	let goesOn = false;

	return text.trimEnd().split('\n').map(line => {
		const prompt = [PROMPT, ...goesOn ? [GOES_ON] : []].find(start => line.startsWith(start)) ?? '';

		goesOn = prompt !== '' && line.endsWith('\\');
		return {prompt, text: line.slice(prompt.length)};
	});
}

const spellLine = ({prompt, text}) => prompt
	? [element('span', {className: 'prompt'}, prompt), element('b', {}, text), '\n']
	: [element('span', {className: 'output'}, text), '\n'];

async function copy(button, text) {
	try {
		await navigator.clipboard.writeText(text);
		button.textContent = 'Copied';
	} catch {
		button.textContent = 'Not allowed';
	}
	setTimeout(() => {
		button.textContent = 'Copy';
	}, SHOWN_MS);
}

function createButton(text) {
	const button = element('button', {className: 'copy small', title: text}, 'Copy');

	button.addEventListener('click', () => copy(button, text));
	return button;
}

// What of a block is typed: what stands after prompts; all of it where it is marked as a shell's; or null.
function commandsOf(code) {
	const lines = readSession(code.textContent), typed = lines.filter(({prompt}) => prompt);

	if (typed.length) {
		code.replaceChildren(...lines.flatMap(spellLine));
		return typed.map(({text}) => text).join('\n');
	}
	return /\blanguage-(sh|bash|shell)\b/.test(code.className) ? code.textContent.trimEnd() : null;
}

function dressBlock(pre) {
	const code = pre.querySelector('code') ?? pre;
	const commands = commandsOf(code), box = element('div', {className: 'commands'});
	const places = (code.dataset.meta ?? '').split(' ').map(word => PLACES[word]).filter(Boolean);

	pre.tabIndex = 0; // what scrolls must be reached by keyboard
	if (commands === null)
		return;
	pre.replaceWith(...places.map(place => element('p', {className: 'where soft'}, `${place}:`)), box);
	box.append(pre, createButton(commands));
}

function dressTable(table) {
	for (const [column, head] of table.querySelectorAll('th').entries())
		if (COLUMNS.includes(head.textContent.trim()))
			for (const code of table.querySelectorAll(`td:nth-child(${column + 1}) > code:only-child`))
				code.after(createButton(code.textContent));
}

// ---- hints ----

// Each is offered once that before it was opened, and the solution last. The tab remembers how many were.
function offerHints() {
	const hints = [...document.querySelectorAll('details.hint')];
	const key = `opened ${location.pathname}`;
	const later = element('p', {className: 'soft'}, 'It is offered once all hints were opened.');
	let opened = Number(sessionStorage.getItem(key));
	const offer = () => {
		for (const [i, hint] of hints.entries())
			hint.hidden = i > opened;
		later.hidden = opened >= hints.length - 1;
	};

	for (const [i, hint] of hints.entries())
		hint.addEventListener('toggle', () => {
			opened = Math.max(opened, i + 1);
			sessionStorage.setItem(key, opened);
			offer();
		});
	document.getElementById('solution')?.after(later);
	offer();
}

// ---- ports ----

// The texts name the stack's usual ports on the reader's machine, 127.0.0.1; this stack may have others. In the
// toolbox, where it is localhost, they are always the usual ones.
async function nameOwnPorts() {
	const ports = await (await fetch('/ports')).json();
	const own = text => text.replace(/\b127\.0\.0\.1:(\d+)/g, (usual, port) => ports[port] ? `127.0.0.1:${ports[port]}` : usual);
	const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);

	while (texts.nextNode())
		texts.currentNode.data = own(texts.currentNode.data);
	for (const link of document.querySelectorAll('main a[href^="http://127.0.0.1:"]'))
		link.href = own(link.getAttribute('href'));
}

await nameOwnPorts().catch(() => {}); // with the usual ones the text is as good as it can be
document.querySelectorAll('pre').forEach(dressBlock);
document.querySelectorAll('table').forEach(dressTable);
offerHints();
