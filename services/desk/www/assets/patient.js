// The patient: how it is, its steps, and requests to it. What is shown is what the desk tells every
// page; a button only asks.
import {element} from './element.js';

const ANSWERS_SHOWN = 8;
const ANSWERS_COUNTED = 50;
const SETTLED_MS = 250; // a slider that was moved so long ago stays where it is

const HEALTH = {ok: ['good', 'well'], slow: ['warn', 'slow'], down: ['bad', 'down']};

function spellSeconds(seconds) {
	if (seconds < 60)
		return `${seconds} s`;
	if (seconds < 3600)
		return `${Math.floor(seconds / 60)} min`;
	return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
}

function spellMs(ms) {
	if (ms >= 1000)
		return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
	return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function mountHealth(root, hub) {
	const chip = element('span', {className: 'chip', role: 'status'});
	const facts = element('span', {className: 'soft number'});
	const why = element('p', {className: 'why soft'});

	root.append(element('div', {className: 'row'}, chip, facts), why);
	hub.on('patient', patient => {
		const [look, word] = HEALTH[patient.health] ?? HEALTH.down;

		chip.className = `chip ${look}`;
		if (chip.textContent !== word) // or a screen reader would say it each second
			chip.textContent = word;
		facts.textContent = patient.up && patient.pid !== null
			? `PID ${patient.pid}, up ${spellSeconds(patient.uptime_s)}`
			: `for ${spellSeconds(patient.since_s)}`;
		why.textContent = patient.why ? `${patient.why[0].toUpperCase()}${patient.why.slice(1)}.` : '';
	});
}

// ---- steps ----

function stepButton(step, variant, post) {
	const button = element('button', {className: 'small', type: 'button'}, variant);

	button.setAttribute('aria-label', `Step ${step.number}, ${step.name}, ${variant}`);
	button.addEventListener('click', () => post('/patient/goto', {step: step.number, variant}));
	return button;
}

function stepRow(step, post) {
	// Without a fault there is nothing to be fixed.
	const variants = step.number === 0 ? ['leaky'] : ['leaky', 'fixed'];
	const buttons = variants.map(variant => stepButton(step, variant, post));
	const row = element('li', {value: step.number},
		element('div', {className: 'what'},
			element('span', {className: 'step'}, `${step.number} ${step.name}`),
			element('span', {className: 'soft does'}, step.does)),
		element('div', {className: 'row variants'}, ...buttons));

	if (step.number === 0) {
		buttons[0].textContent = 'go';
		buttons[0].setAttribute('aria-label', `Step ${step.number}, ${step.name}, go`);
	}
	return {row, mark(patient) {
		row.classList.toggle('now', patient.step === step.number);
		buttons.forEach((button, i) => button.setAttribute('aria-pressed',
			String(patient.step === step.number && (step.number === 0 || patient.variant === variants[i]))));
	}};
}

function mountSteps(root, hub, post) {
	const list = element('ol', {className: 'steps'});
	const reset = element('button', {type: 'button', className: 'small'}, 'Reset');
	let shown = '', rows = [];

	reset.addEventListener('click', () => post('/patient/reset'));
	reset.title = 'Step 0, no steady requests';
	root.append(element('div', {className: 'row'}, element('h3', {}, 'Steps'),
		element('span', {className: 'gap'}), reset), list);
	hub.on('patient', patient => {
		const steps = JSON.stringify(patient.steps);

		// A patient that is down cannot say which steps it has: they stay.
		if (patient.steps.length && steps !== shown) {
			shown = steps;
			rows = patient.steps.map(step => stepRow(step, post));
			list.replaceChildren(...rows.map(({row}) => row));
		}
		rows.forEach(({mark}) => mark(patient));
	});
}

// ---- requests ----

function mountButtons(root, hub, post) {
	const one = element('button', {type: 'button', className: 'primary'}, 'Request');
	const ten = element('button', {type: 'button'}, '× 10');
	const rate = element('input', {type: 'range', min: 0, max: 20, value: 0, id: 'patient-rate'});
	const shown = element('output', {className: 'number', htmlFor: 'patient-rate'});
	const load = element('p', {className: 'soft number load'});
	let moved = null, known = 0; // a timer: what is asked for is not told yet
	const tell = () => shown.textContent = `${rate.value}/s`;
	const put = value => {
		rate.value = value;
		tell();
	};
	const ask = async () => {
		const mine = moved, done = await post('/patient/requests', {rate: rate.value});

		if (moved !== mine)
			return; // it was moved again
		moved = null;
		if (!done)
			put(known);
	};

	ten.setAttribute('aria-label', '× 10 requests');
	one.addEventListener('click', () => post('/patient/requests', {count: 1}));
	ten.addEventListener('click', () => post('/patient/requests', {count: 10}));
	// Once it rests: requests that overtake each other would leave another rate.
	rate.addEventListener('input', () => {
		tell();
		clearTimeout(moved);
		moved = setTimeout(ask, SETTLED_MS);
	});
	root.append(element('h3', {}, 'Requests'),
		element('div', {className: 'row'}, one, ten,
			element('label', {htmlFor: 'patient-rate'}, 'Steady ', shown), rate), load);
	hub.on('load', state => {
		known = state.rate;
		// Not out of the hand of who moves it.
		if (moved === null && !rate.matches(':active'))
			put(known);
		load.textContent = `${state.in_flight} under way` +
			(state.held_back ? `, ${state.held_back} held back: the patient owes too many answers` : '');
	});
	put(known);
}

function median(numbers) {
	return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

function answerRow(answer) {
	const row = element('li', {className: 'number'}, answer.status ? spellMs(answer.ms) : answer.why || 'no answer');

	if (answer.status !== 200) {
		row.classList.add('failed');
		if (answer.status)
			row.append(` (status ${answer.status})`);
	}
	return row;
}

function mountAnswers(root, hub) {
	const summary = element('p', {className: 'soft number'}, 'No answers yet.');
	const list = element('ol', {className: 'answers'});
	let latencies = [];

	list.setAttribute('aria-label', 'Latest answers, newest first');
	root.append(summary, list);
	hub.on('answer', answer => {
		list.prepend(answerRow(answer));
		while (list.children.length > ANSWERS_SHOWN)
			list.lastChild.remove();
		if (!answer.status)
			return;
		latencies = [answer.ms, ...latencies].slice(0, ANSWERS_COUNTED);
		summary.textContent = `Last ${latencies.length}: median ${spellMs(median(latencies))}, ` +
			`slowest ${spellMs(Math.max(...latencies))}`;
	});
}

export function mount(root, hub, post) {
	document.head.append(element('link', {rel: 'stylesheet', href: '/assets/patient.css'}));
	mountHealth(root, hub);
	mountSteps(root, hub, post);
	mountButtons(root, hub, post);
	mountAnswers(root, hub);
}
