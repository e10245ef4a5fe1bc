// What a test of pages may use: a browser, pages that are watched, and the report in the words of the
// other suites. A test is a function that throws; each gets a page of its own.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import {chromium} from '../../build/npm/playwright-core/index.mjs';

export const OUT = path.join(import.meta.dirname, 'out');
const PICTURES = path.join(import.meta.dirname, '../../workshop/pictures');
const WAIT_MS = 30000;
const CHROMIUM = {
	executablePath: '/usr/bin/chromium',
	// Root has no sandbox, a container little shared memory; the rest keeps the browser itself quiet.
	args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-sync',
		'--disable-background-networking', '--disable-component-update'],
};

const AXE = fs.readFileSync(path.join(import.meta.dirname, '../../build/npm/axe-core/axe.min.js'), 'utf8');
const GRAVE = ['serious', 'critical'];

const tests = [];

// OPTIONS.expected: a pattern of complaints that belong to the test; .desk: whose page it is; .screen:
// what else a context of the browser takes, such as {colorScheme: 'dark'}.
export function test(name, run, options = {}) {
	tests.push({name, run, options});
}

// Throws if axe-core finds something on PAGE that keeps people from using it.
export async function audit(page) {
	await page.evaluate(AXE);
	const {violations} = await page.evaluate(() => axe.run());

	assert.deepEqual(violations.filter(({impact}) => GRAVE.includes(impact))
		.flatMap(({id, nodes}) => nodes.map(node => `${id}: ${node.html} ${node.any[0]?.message ?? ''}`)), []);
}

// A picture of what the workshop's texts show, where they are wanted: PICTURES=1.
// HEIGHT: in pixels, of its upper part; all of the window if there is none.
export async function picture(page, name, height) {
	const {width} = page.viewportSize();

	if (process.env.PICTURES)
		await page.screenshot({path: path.join(PICTURES, `${name}.png`),
			...height && {clip: {x: 0, y: 0, width, height}}});
}

// Watches what the pages of a context say and ask. ORIGIN is the only host they may speak to. Returns a
// list that grows.
function watch(context, origin, expected) {
	const complaints = [];
	const complain = text => expected?.test(text) || complaints.push(text);

	context.on('page', page => {
		page.on('console', message => message.type() === 'error' && complain(`console: ${message.text()}`));
		page.on('pageerror', error => complain(`uncaught: ${error.message}`));
		page.on('request', request => {
			const url = new URL(request.url());

			if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== origin)
				complain(`a request to ${url.href}`);
		});
	});
	return complaints;
}

async function runOne(browser, {name, run, options}, origins) {
	const origin = origins[options.desk ?? 'desk'];
	const context = await browser.newContext({
		baseURL: origin, viewport: {width: 1280, height: 720}, acceptDownloads: true, ...options.screen,
	});
	const complaints = watch(context, origin, options.expected);
	const page = await context.newPage();

	context.setDefaultTimeout(WAIT_MS);
	try {
		await run(page);
		assert.deepEqual(complaints, [], 'the page complained');
		return true;
	} catch (error) {
		console.log(`FAIL  ${name}`);
		console.log([error.stack, ...complaints].join('\n').replace(/^/gm, '      '));
		return false;
	} finally {
		await page.screenshot({path: path.join(OUT, `${name.replace(/\W+/g, '-')}.png`)}).catch(() => {});
		await context.close();
	}
}

// ORIGINS: of the desks, by name; a test chooses with options.desk.
export async function runTests(origins) {
	const only = new RegExp(process.env.ONLY ?? '');
	const chosen = tests.filter(({name}) => only.test(name));
	let passed = 0;

	fs.mkdirSync(OUT, {recursive: true});
	const browser = await chromium.launch(CHROMIUM);

	for (const one of chosen) {
		const begun = performance.now();

		if (await runOne(browser, one, origins)) {
			passed++;
			console.log(`ok    ${one.name} (${((performance.now() - begun) / 1000).toFixed(1)} s)`);
		}
	}
	await browser.close();
	console.log(`browser: ${passed} passed, ${chosen.length - passed} failed`);
	return passed > 0 && passed === chosen.length;
}
