// Whether the attendee has found what is wrong: a form on each lab's page, and marks of what is done, there and
// in the list of all labs.
import {element} from './element.js';

const DONE = {answered: 'answered', verified: 'mended'};

const section = document.querySelector('#answer[data-lab]');
const isList = location.pathname === '/labs/';

// ---- progress ----

function marksOf(progress) {
	return Object.keys(DONE).filter(key => progress?.[key]).map(key =>
		element('span', {className: 'chip good'}, `✓ ${DONE[key]}`));
}

async function showProgress() {
	const response = await fetch('/labs/progress').catch(() => null);
	const labs = response?.ok ? (await response.json()).labs : null;

	if (!labs)
		return; // it says nothing of what is wrong; the form will, when it is used
	section?.querySelector('.marks').replaceChildren(...marksOf(labs[section.dataset.lab]));
	for (const link of isList ? document.querySelectorAll('main a[href$="/"]') : []) {
		const lab = link.getAttribute('href').replace(/\/$/, '');

		link.querySelector('.marks')?.remove();
		if (labs[lab])
			link.append(element('span', {className: 'marks'}, ...marksOf(labs[lab])));
	}
}

// ---- the form ----

function createField(name, label, hint) {
	const input = element('input', {name, required: true, maxLength: 120, autocomplete: 'off',
		autocapitalize: 'off', spellcheck: false});

	return element('label', {}, label, input, element('small', {className: 'soft'}, hint));
}

// A sentence in which what stands between backquotes is code.
function createSentence(text) {
	return element('p', {}, ...text.split('`').map((part, i) =>
		i % 2 ? element('code', {}, part) : part));
}

function show(result, isRight, text) {
	result.className = isRight ? 'result right' : 'result';
	result.replaceChildren(...text.trim().split('\n').map(createSentence));
}

async function ask(form, result) {
	const fields = new URLSearchParams(new FormData(form));
	const button = form.querySelector('button');

	fields.set('lab', section.dataset.lab);
	button.disabled = true;
	try {
		const response = await fetch('/labs/answer', {method: 'POST', body: fields});

		if (response.ok) {
			const {right, text} = await response.json();

			show(result, right, text);
		} else {
			show(result, false, await response.text());
		}
	} catch {
		show(result, false, 'The desk does not answer; try again when it is back.');
	}
	button.disabled = false;
	showProgress();
}

function mount() {
	const number = Number(section.dataset.lab.slice(0, 2));
	const lab = number < 8 ? `STEP=${number}` : `PAIR=${number === 8 ? 'file' : 'http'}`;
	const result = element('div', {className: 'result', role: 'status'});
	const form = element('form', {},
		createField('function', 'Function', 'whose fault it is, as in a profile'),
		createField('resource', 'Resource', 'what it leaks, burns, churns or holds'),
		element('button', {className: 'primary'}, 'Check'));

	form.addEventListener('submit', event => {
		event.preventDefault();
		ask(form, result);
	});
	section.replaceChildren(
		element('h2', {}, 'Your answer ', element('span', {className: 'marks'})), form, result);
	section.hidden = false;
	if (number > 0)
		section.append(createSentence(`When you have mended it in the sources: \`make verify ${lab}\``));
}

if (section)
	mount();
if (section || isList)
	showProgress();
// A verify may have passed while the reader was elsewhere.
document.addEventListener('visibilitychange', () => {
	if (!document.hidden && (section || isList))
		showProgress();
});
