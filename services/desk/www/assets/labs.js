// Commands in the texts of the workshop get a button that copies them.
const SHOWN_MS = 1500;
const PROMPT = '$ ';
// Heads of those columns of tables that have commands.
const COLUMNS = ['type', 'here'];

// What of a block is typed: the lines after a prompt; all of it where it is marked as a shell's; or null.
function commandsOf(code) {
	const lines = code.textContent.trimEnd().split('\n');
	const typed = lines.filter(line => line.startsWith(PROMPT)).map(line => line.slice(PROMPT.length));

	if (typed.length)
		return typed.join('\n');
	return /\blanguage-(sh|bash|shell)\b/.test(code.className) ? lines.join('\n') : null;
}

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
	const button = document.createElement('button');

	button.className = 'copy small';
	button.textContent = 'Copy';
	button.title = text;
	button.addEventListener('click', () => copy(button, text));
	return button;
}

for (const pre of document.querySelectorAll('pre')) {
	const commands = commandsOf(pre.querySelector('code') ?? pre);
	const box = document.createElement('div');

	pre.tabIndex = 0; // what scrolls must be reached by keyboard
	if (commands === null)
		continue;
	box.className = 'commands';
	pre.replaceWith(box);
	box.append(pre, createButton(commands));
}

for (const table of document.querySelectorAll('table'))
	for (const [column, head] of table.querySelectorAll('th').entries())
		if (COLUMNS.includes(head.textContent.trim()))
			for (const code of table.querySelectorAll(`td:nth-child(${column + 1}) > code:only-child`))
				code.after(createButton(code.textContent));
