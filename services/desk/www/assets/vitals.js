// Vitals: the patient's last ten minutes, a sample a second, and what happened meanwhile on the time
// axis. The desk keeps them: a page that comes anew has all of them.
import {element} from './element.js';

const WINDOW_S = 600;
const WINDOW_LEAST_S = 120; // as long as less than that is known
const HEIGHT_PX = 150;
const MARKS_LISTED = 5;

const spellTime = (seconds, options) => new Date(seconds * 1000).toLocaleTimeString([], {hourCycle: 'h23', ...options});
const spellMinute = seconds => spellTime(seconds, {hour: '2-digit', minute: '2-digit'});
const spellSecond = seconds => spellTime(seconds, {hour: '2-digit', minute: '2-digit', second: '2-digit'});

const short = number => String(Number(number.toPrecision(3)));
const counts = number => Number.isInteger(number) ? number.toLocaleString('en') : short(number);

function bytes(number) {
	if (number === 0)
		return '0';
	if (number < 1024 ** 2)
		return `${short(number / 1024)} KiB`;
	return number < 1024 ** 3 ? `${short(number / 1024 ** 2)} MiB` : `${short(number / 1024 ** 3)} GiB`;
}

function milliseconds(number) {
	return number < 1000 ? `${short(number)} ms` : `${short(number / 1000)} s`;
}

// Whole powers of two, so that the axis reads 64, 128, 192 MiB.
function byteSplits(max) {
	const step = 2 ** Math.ceil(Math.log2(max / 4));

	return Array.from({length: Math.floor(max / step) + 1}, (unused, i) => i * step);
}

// LEAST: what the axis shows at least, so that a quiet patient looks quiet.
const CHARTS = [
	{title: 'Latency', columns: {latency_ms: 'of /, or the longest wait'}, spell: milliseconds, least: 100, splits: max => [0.1, 10, 1000, 100000].filter(ms => ms <= max),
		decades: true},
	{title: 'CPU', columns: {cpu_percent: 'of one CPU'}, spell: number => `${number.toFixed(number < 10 && number % 1 ? 1 : 0)} %`, least: 100},
	{title: 'Memory', columns: {rss_bytes: 'RSS', heap_in_use_bytes: 'heap in use', heap_allocated_bytes: 'allocated'},
		spell: bytes, least: 64 * 1024 ** 2, splits: byteSplits, wide: true},
	{title: 'Threads', columns: {threads: ''}, spell: counts, least: 20},
	{title: 'Descriptors', columns: {fds: 'open', connections: 'connections'}, spell: counts, least: 20},
];
const COLUMNS = CHARTS.flatMap(({columns}) => Object.keys(columns));
const DASHES = [[], [8, 4], [2, 3]]; // colour alone would not tell lines apart

// Charts take their colours and their width from it.
function styleSheet(href) {
	return new Promise(resolve => document.head.append(
		element('link', {rel: 'stylesheet', href, onload: resolve, onerror: resolve})));
}

// ---- what is known ----

class History {
	number = 0;
	markNumber = 0;
	t = [];
	marks = [];
	columns = Object.fromEntries(COLUMNS.map(name => [name, []]));

	async load() {
		const all = await (await fetch('/vitals')).json();

		this.number = all.number;
		this.markNumber = all.mark_number;
		this.t = all.t;
		this.marks = all.marks;
		for (const name of COLUMNS)
			this.columns[name] = all[name];
	}

	// Returns false if something was missed: a sample, or a mark.
	add(sample) {
		if (sample.mark_number > this.markNumber)
			return false;
		if (sample.number === this.number)
			return true; // it came with the load
		if (sample.number !== this.number + 1)
			return false;
		this.number++;
		this.t.push(sample.t);
		for (const name of COLUMNS)
			this.columns[name].push(sample[name]);
		while (this.t.length > WINDOW_S) {
			this.t.shift();
			for (const name of COLUMNS)
				this.columns[name].shift();
		}
		return true;
	}

	window() {
		const now = this.t.at(-1) ?? Date.now() / 1000, first = this.t[0] ?? now;

		return [Math.min(Math.max(first, now - WINDOW_S), now - WINDOW_LEAST_S), now];
	}

	addMark(mark) {
		if (mark.number !== this.markNumber + 1)
			return; // it came with the load, or the next sample asks for one
		this.markNumber++;
		this.marks = [...this.marks.filter(({t}) => t > mark.t - WINDOW_S), mark];
	}
}

// ---- a chart ----

function paint() {
	const style = getComputedStyle(document.documentElement);
	const color = name => style.getPropertyValue(name).trim();

	return {text: color('--soft'), grid: color('--line'), mark: color('--warn'), card: color('--card'),
		lines: [color('--line-1'), color('--line-2'), color('--line-3')]};
}

// A line each, and its text at the top unless it would lie on a newer one.
function drawMarks(plot, marks, colors) {
	const {ctx, bbox} = plot, ratio = devicePixelRatio, right = bbox.left + bbox.width;
	const seen = marks.map(({t, text}) => ({text, x: Math.round(plot.valToPos(t, 'x', true))}))
		.filter(({x}) => x >= bbox.left && x <= right);
	let free = right;

	ctx.save();
	ctx.strokeStyle = colors.mark;
	ctx.lineWidth = ratio;
	ctx.setLineDash([4 * ratio, 3 * ratio]);
	ctx.font = `${13 * ratio}px system-ui, sans-serif`;
	ctx.textBaseline = 'top';
	ctx.textAlign = 'left';
	for (const {x} of seen) {
		ctx.beginPath();
		ctx.moveTo(x, bbox.top);
		ctx.lineTo(x, bbox.top + bbox.height);
		ctx.stroke();
	}
	for (const {text, x} of seen.reverse()) {
		const width = ctx.measureText(text).width;
		// The newest may stand before its line, where there is no room behind it.
		const left = x + 4 * ratio + width > right ? x - 4 * ratio - width : x + 4 * ratio;

		if (left + width > free)
			continue;
		ctx.fillStyle = colors.card;
		ctx.fillRect(left - ratio, bbox.top, width + 2 * ratio, 16 * ratio);
		ctx.fillStyle = colors.mark;
		ctx.fillText(text, left, bbox.top + 2 * ratio);
		free = Math.min(left, x) - 4 * ratio;
	}
	ctx.restore();
}

// One sample between two that are missing makes no line.
function lonely(plot, index) {
	const data = plot.data[index], found = [];

	data.forEach((value, i) => {
		if (value !== null && (data[i - 1] ?? null) === null && (data[i + 1] ?? null) === null)
			found.push(i);
	});
	return found;
}

function options(chart, history, width, onCursor) {
	const colors = paint();
	const axis = {stroke: colors.text, font: '13px system-ui, sans-serif', grid: {stroke: colors.grid, width: 1},
		ticks: {stroke: colors.grid, width: 1, size: 4}};

	return {
		width, height: HEIGHT_PX, padding: [9, 20, 0, 0], legend: {show: false},
		cursor: {sync: {key: 'vitals'}, y: false, drag: {x: false, y: false}},
		scales: {
			x: {range: () => history.window()},
			// A minute of waiting, and the millisecond that work takes, in one picture. Marks have the room above.
			y: chart.decades
				? {distr: 3, range: (plot, min, max) => [0.01, Math.max(chart.least, (max ?? 0) * 10)]}
				: {range: (plot, min, max) => [0, Math.max(chart.least, (max ?? 0) * 1.3)]},
		},
		axes: [
			{...axis, size: 26, space: 55, incrs: [60, 120, 300], values: (plot, splits) => splits.map(spellMinute)},
			{...axis, size: 68, space: 32, values: (plot, splits) => splits.map(chart.spell),
				filter: (plot, splits) => splits,
				...chart.splits && {splits: (plot, index, min, max) => chart.splits(max)}},
		],
		series: [{}, ...Object.keys(chart.columns).map((name, i) => ({
			stroke: colors.lines[i], width: 2, dash: DASHES[i], points: {show: false, size: 5, filter: lonely},
		}))],
		hooks: {
			draw: [plot => drawMarks(plot, history.marks, colors)],
			setCursor: [plot => onCursor(plot.cursor.idx ?? null)],
		},
	};
}

// The title with what each line has now, or where the cursor is.
function caption(chart) {
	const values = Object.entries(chart.columns).map(([name, words], i) => {
		const value = element('b', {className: 'number'});
		const key = element('span', {className: `key key-${i + 1}`});

		key.setAttribute('aria-hidden', 'true');
		return {name, value, shown: element('span', {className: 'value'}, key, value, ` ${words}`)};
	});

	return {
		made: element('figcaption', {}, element('span', {className: 'title'}, chart.title), ...values.map(({shown}) => shown)),
		show(history, index) {
			for (const {name, value} of values) {
				const known = history.columns[name].at(index ?? -1);

				value.textContent = known === null || known === undefined ? '–' : chart.spell(known);
			}
		},
	};
}

function makeChart(chart, history, Plot, onCursor) {
	const {made, show} = caption(chart);
	const box = element('div', {className: 'plot'});
	let plot = null, width = 0;
	const data = () => [history.t, ...Object.keys(chart.columns).map(name => history.columns[name])];

	box.setAttribute('role', 'img');
	box.setAttribute('aria-label', `${chart.title}, the last ten minutes`);
	// Also where colours or the width have changed.
	const build = () => {
		width = box.clientWidth;
		plot?.destroy();
		plot = Plot && width > 0 ? new Plot(options(chart, history, width, onCursor), data(), box) : null;
	};

	new ResizeObserver(() => box.clientWidth !== width && build()).observe(box);
	return {
		figure: element('figure', {className: chart.wide ? 'wide' : ''}, made, box),
		show: index => show(history, index),
		draw: () => plot?.setData(data()),
		build,
	};
}

// ---- the panel ----

function listMarks(list, marks) {
	list.replaceChildren(...marks.slice(-MARKS_LISTED).reverse().map(({t, text}) =>
		element('li', {}, element('time', {dateTime: new Date(t * 1000).toISOString()}, spellSecond(t)), ` ${text}`)));
}

export async function mount(root, hub) {
	const history = new History();
	const when = element('p', {className: 'soft number when'}), grid = element('div', {className: 'charts'});
	const marks = element('ol', {className: 'marks soft'});
	let charts = [], cursor = null;
	const showValues = () => {
		when.textContent = cursor === null ? 'Now, and the ten minutes before' : `At ${spellSecond(history.t[cursor])}`;
		charts.forEach(chart => chart.show(cursor));
	};
	const draw = () => {
		showValues();
		listMarks(marks, history.marks);
		if (!document.hidden)
			charts.forEach(chart => chart.draw());
	};
	const load = () => history.load().then(draw, () => {}); // the desk is away: its next sample comes here again

	marks.setAttribute('aria-label', 'What happened, newest first');
	root.append(when, grid, marks);
	hub.on('vitals', sample => history.add(sample) ? draw() : load());
	hub.on('mark', mark => {
		history.addMark(mark);
		draw();
	});

	const [Plot] = await Promise.all([
		import('./uplot/uplot.js').then(module => module.default, () => null),
		styleSheet('/assets/uplot/uplot.css'), styleSheet('/assets/vitals.css'), load(),
	]);

	if (!Plot)
		when.after(element('p', {className: 'empty'},
			'The charts are missing: npm did not answer when the desk was built. On the host, make up tries again.'));
	charts = CHARTS.map(chart => makeChart(chart, history, Plot, index => {
		cursor = index < history.t.length ? index : null;
		showValues();
	}));
	grid.append(...charts.map(({figure}) => figure));
	draw();
	matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => charts.forEach(chart => chart.build()));
	document.addEventListener('visibilitychange', draw);
}
