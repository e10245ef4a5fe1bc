// The texts of the workshop as pages: those that the desk has, and a lab of ours that shows all they may have.
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import {audit, OUT, test} from './harness.mjs';

const HERE = import.meta.dirname;
const RENDERED = path.join(OUT, 'labs');
const LAB = '/labs/07-a-lab/';

// Has the desk's /labs/ be those of tests/browser/workshop.
async function serveOurs(page) {
	execFileSync(path.join(HERE, '../../docker/labs/render'), [path.join(HERE, 'workshop'), RENDERED]);
	await page.context().route('**/labs/**', (route, request) => {
		const {pathname} = new URL(request.url());

		if (pathname === '/labs/progress')
			return route.continue();
		const file = path.join(RENDERED, pathname.replace(/^\/labs/, '').replace(/\/$/, '/index.html'));

		return route.fulfill(fs.existsSync(file) ? {path: file} : {status: 404});
	});
}

// Every link and every picture on PAGE leads to something of the desk's.
async function followAll(page) {
	const here = page.url();
	const links = await page.locator('main a').evaluateAll((all, origin) => all.map(({href}) => href)
		.filter(href => href.startsWith(origin)), new URL(here).origin);

	for (const link of links) {
		const url = new URL(link);

		// The page of a source is there for any name; what it shows is not.
		if (url.pathname === '/source.html')
			url.pathname = '/source';
		const [status, text] = await page.evaluate(async href => {
			const response = await fetch(href);

			return [response.status, await response.text()];
		}, url.href);

		assert.equal(status, 200, `${here} links to ${link}`);
		if (url.hash && url.pathname.startsWith('/labs/'))
			assert.ok(text.includes(`id="${url.hash.slice(1)}"`), `${here} links to ${link}`);
	}
	assert.deepEqual(await page.locator('main img').evaluateAll(all => Promise.all(all.map(async image =>
		(await fetch(image.src)).ok ? '' : image.src))).then(all => all.filter(Boolean)), [], `${here} shows`);
}

const copied = page => page.evaluate(() => navigator.clipboard.readText());

async function copy(page, block) {
	await block.getByRole('button', {name: 'Copy'}).click();
	await block.getByRole('button', {name: 'Copied'}).waitFor();
	return copied(page);
}

const CLIPBOARD = {screen: {permissions: ['clipboard-read', 'clipboard-write']}};

test('labs list the guides, whose commands can be copied', async page => {
	await page.goto('/labs/');
	await page.locator('a[href="core-files.html"]').click();
	assert.equal(await copy(page, page.locator('.commands', {hasText: 'switched to step 1'})),
		"curl 'localhost:6060/goto?step=1'");
	await page.locator('tr', {hasText: 'see the lock'}).getByRole('button', {name: 'Copy'}).click();
	assert.equal(await copied(page), "gdb -p $APP_PID -batch -ex 'print shared_state_lock'");
}, CLIPBOARD);

test('links and pictures in the texts lead to what they name', async page => {
	await page.goto('/labs/');
	const texts = await page.locator('main a').evaluateAll((all, origin) => all.map(({href}) => href)
		.filter(href => href.startsWith(`${origin}/labs/`)), new URL(page.url()).origin);

	assert.ok(texts.length > 0);
	for (const text of ['/labs/', ...texts]) {
		await page.goto(text);
		await followAll(page);
	}
});

test('a lab offers its hints one at a time, and its solution after them', async page => {
	const shown = page.locator('details.hint:visible > summary');
	const openLast = () => shown.last().click();

	await serveOurs(page);
	await page.goto(LAB);
	assert.deepEqual(await shown.allInnerTexts(), ['Where to look']);
	await openLast();
	await shown.nth(1).waitFor();
	await openLast();
	await shown.nth(2).waitFor();
	assert.deepEqual(await shown.allInnerTexts(), ['Where to look', 'What to look with', 'What it says']);
	await page.getByText('It is offered once all hints were opened.').waitFor();
	await page.reload();
	await openLast();
	await page.locator('details.hint:visible > summary', {hasText: 'Show it'}).waitFor();
	await openLast();
	await page.getByRole('heading', {name: 'The line'}).waitFor();
	assert.ok(await page.getByText('It is offered once').isHidden());
	await audit(page);
});

test('a lab has its links, its pictures and a place for an answer, and keeps the answer', async page => {
	await serveOurs(page);
	await page.goto('/labs/');
	assert.deepEqual(await page.locator('main a').allInnerTexts(), ['the lab', 'A guide', 'Another guide']);
	await page.getByRole('link', {name: 'the lab'}).click();
	await page.locator('#answer[data-lab="07-a-lab"]').getByLabel('Function').waitFor();
	await followAll(page);
	assert.ok(await page.locator('main img').evaluate(image => image.decode().then(() => image.naturalWidth)) > 0);
	assert.deepEqual(await page.locator('main a').evaluateAll(all => all.map(({href}) => new URL(href))
		.map(({pathname, search, hash}) => pathname + search + hash)), [
		'/labs/a-guide.html', '/labs/a-guide.html#a-part-of-it', '/labs/', '/labs/07-a-lab/',
		'/source.html?file=services/app/faults/cpu.c', `${LAB}#hints`, `${LAB}#solution`, '/labs/another-guide.html']);
	await followAll(page);
	assert.deepEqual(fs.readdirSync(path.join(RENDERED, '07-a-lab')), ['index.html']);
});

test('of a session the commands are copied, and where they are typed is said', async page => {
	await serveOurs(page);
	await page.goto(LAB);
	const session = page.locator('.commands', {hasText: 'hello world'});

	assert.equal(await copy(page, session), 'curl localhost:6060/\nfor i in 1 2; do \\\n  echo $i; done');
	assert.deepEqual(await session.locator('.output').allInnerTexts(), ['hello world', '> 1', '2']);
	assert.deepEqual(await page.locator('.where').allInnerTexts(), ['On your machine:']);
	assert.equal(await copy(page, page.locator('.where + .commands')), 'make reset');
	assert.equal(await page.locator('.commands').count(), 2, 'C is not to be typed');
}, CLIPBOARD);

test('texts name the ports that this stack has, and others as they are', async page => {
	await page.goto('/labs/parity.html');
	await page.getByRole('button', {name: 'Copy'}).first().waitFor();
	await page.locator('main a[href="http://127.0.0.1:20012"]', {hasText: 'http://127.0.0.1:20012'}).first().waitFor();
	await page.locator('main a[href="http://127.0.0.1:9001"]').first().waitFor();
	assert.equal(await page.locator('main', {hasText: '127.0.0.1:9000'}).count(), 0);
	await page.locator('code', {hasText: 'localhost:6060/goto'}).first().waitFor();
});
