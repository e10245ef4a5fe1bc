// The desk's pages around the viewer, and the one way out of this machine.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import {test} from './harness.mjs';
import {TRACE} from './viewer.mjs';

const NAME = path.basename(TRACE);
const BYTES = fs.statSync(TRACE).size;

test('desk lists the captures and opens one', async page => {
	await page.goto('/');
	const row = page.locator('tr', {hasText: NAME});

	await row.getByText('Timeline').click();
	await page.waitForSelector('.track-shell h1');
	assert.equal(new URL(page.url()).search, `?url=/captures/${NAME}`);
});

test('desk lets a capture be downloaded', async page => {
	await page.goto('/');
	const [download] = await Promise.all([page.waitForEvent('download'),
		page.locator('tr', {hasText: NAME}).getByText('Download').click()]);

	assert.equal(download.suggestedFilename(), NAME);
	assert.equal(fs.statSync(await download.path()).size, BYTES);
});

// Answers as ui.perfetto.dev does, and keeps what it was given.
async function playPerfetto(page) {
	await page.context().route('https://ui.perfetto.dev/**', route => route.fulfill({
		contentType: 'text/html',
		body: `<script>addEventListener('message', event => {
			if (event.data === 'PING') event.source.postMessage('PONG', event.origin);
			else window.given = {title: event.data.perfetto.title, bytes: event.data.perfetto.buffer.byteLength};
		});</script>`,
	}));
}

test('viewer hands a trace to ui.perfetto.dev, on a click', async page => {
	await playPerfetto(page);
	await page.goto(`/viewer/?url=/captures/${NAME}`);
	const [perfetto] = await Promise.all([page.waitForEvent('popup'),
		page.getByText('Open in ui.perfetto.dev').click()]);

	await perfetto.waitForFunction(() => window.given);
	assert.deepEqual(await perfetto.evaluate(() => window.given), {title: NAME, bytes: BYTES});
}, {expected: /a request to https:\/\/ui\.perfetto\.dev\//});

test('viewer says why a capture cannot be opened', async page => {
	await page.goto('/viewer/?url=/captures/missing.pftrace');
	await page.getByText('could not be read: There is no such file.').waitFor();
	await page.goto('/viewer/?url=https://example.org/x.pftrace');
	await page.getByText('Only traces of this desk can be opened').waitFor();
}, {expected: /404 \(Not Found\)/});

test('viewer answers PING of its own pages and takes a trace from them', async page => {
	await page.goto('/');
	await page.evaluate(async ([name]) => {
		const buffer = await (await fetch(`/captures/${name}`)).arrayBuffer();
		const viewer = window.open('/viewer/');

		await new Promise(resolve => {
			addEventListener('message', event => event.data === 'PONG' && resolve());
			viewer.addEventListener('load', () => viewer.postMessage('PING', '*'));
		});
		viewer.postMessage({perfetto: {buffer, title: 'sent'}}, '*');
	}, [NAME]);
	const viewer = page.context().pages()[1];

	await viewer.waitForSelector('.track-shell h1');
	assert.equal(await viewer.locator('.bar .name').innerText(), 'sent');
});

test('viewer is deaf to a page of another origin', async page => {
	await page.goto('/');
	const [viewer] = await Promise.all([page.waitForEvent('popup'),
		page.evaluate(url => { window.viewer = window.open(url); }, `${process.env.DESK}/viewer/`)]);

	await viewer.getByText('Open a trace').waitFor();
	// Runs after the viewer's own listener: once this one answers, that one has had every message.
	await viewer.evaluate(() => addEventListener('message', event =>
		event.data === 'END' && event.source.postMessage('END', event.origin)));
	const heard = await page.evaluate(async name => {
		const buffer = await (await fetch(`/captures/${name}`)).arrayBuffer();
		const answers = [];

		await new Promise(resolve => {
			addEventListener('message', event => {
				answers.push(event.data);
				if (event.data === 'END')
					resolve();
			});
			for (const message of ['PING', {perfetto: {buffer, title: 'sent'}}, 'END'])
				window.viewer.postMessage(message, '*');
		});
		return answers;
	}, NAME);

	assert.deepEqual(heard, ['END']);
	assert.equal(await viewer.locator('.bar .name').textContent(), '');
}, {desk: 'without', expected: new RegExp(`a request to ${process.env.DESK}/`)});

test('viewer without its engine says how to get it', async page => {
	await page.goto(`/viewer/?url=/captures/${NAME}`);
	await page.getByText('The viewer’s engine, a package of npm, is not in this image').waitFor();
	await page.getByText('make up').waitFor();
	await page.getByText('Open in ui.perfetto.dev').waitFor();
}, {desk: 'without', expected: /404 \(Not Found\)|frontend_bundle/});
