// The panel of captures: taken, cancelled, renamed and deleted, by more than one page.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import {audit, test} from './harness.mjs';
import {openDesk, requestAndWait, rowOf, startTaking, take} from './panels.mjs';

test('captures: each page sees one that is taken, and may cancel it', async page => {
	const other = await page.context().newPage();

	await openDesk(page);
	await openDesk(other);
	await startTaking(page, 'cpu', 60, 'long');
	const progress = other.locator('.takings li', {hasText: 'long-'});

	await progress.getByText(/^[1-9] of 60 s$/).waitFor();
	await progress.getByRole('button', {name: /^Cancel long-/}).click();
	await page.getByText(/^long-.* was not kept\. It was cancelled\.$/).waitFor();
	await page.locator('.takings li').waitFor({state: 'detached'});
	assert.equal(await rowOf(page, 'long-').count(), 0);
	assert.ok(await other.locator('#captures select').evaluate(field => field === document.activeElement),
		'the focus is lost');
});

test('captures: who was away is told how one ended, once', async page => {
	const told = opened => opened.getByText(/^away-.* was not kept\. It was cancelled\.$/);
	const other = await page.context().newPage();

	await openDesk(page);
	await startTaking(page, 'cpu', 60, 'away');
	await page.locator('.takings li', {hasText: 'away-'}).waitFor();
	await page.goto('/labs/');
	await openDesk(other);
	await other.getByRole('button', {name: /^Cancel away-/}).click();
	await told(other).waitFor();
	await page.goBack();
	await told(page).waitFor();
	await page.reload();
	await requestAndWait(page, 1); // what is kept came before its answer
	assert.equal(await told(page).count(), 0);
});

test('captures: the form comes when the desk is back', async page => {
	await page.route('**/capture/kinds', route => route.abort());
	await page.goto('/');
	await page.locator('#captures', {hasText: / of \d+ MiB/}).waitFor();
	assert.equal(await page.locator('#captures form').count(), 0);
	await page.unroute('**/capture/kinds');
	await page.locator('#captures form').waitFor();
}, {expected: /ERR_FAILED/});

test('captures: files with other names are counted', async page => {
	const file = path.join(path.dirname(process.env.TRACE), 'another name (1).pb.gz');

	await openDesk(page);
	fs.writeFileSync(file, '');
	await page.getByText(/\b1 files? with other names/).waitFor();
	fs.rmSync(file);
	await page.getByText(/with other names/).waitFor({state: 'detached'});
});

test('captures: one that grows keeps the focus', async page => {
	const file = path.join(path.dirname(process.env.TRACE), 'growing.pb.gz');
	const button = rowOf(page, 'growing').getByRole('button', {name: /^Rename/});

	await openDesk(page);
	fs.writeFileSync(file, 'x'.repeat(100));
	await button.focus();
	fs.appendFileSync(file, 'x'.repeat(100));
	await rowOf(page, 'growing').getByText('200 B').waitFor();
	assert.ok(await button.evaluate(same => same === document.activeElement), 'the focus is lost');
	fs.rmSync(file);
	await rowOf(page, 'growing').waitFor({state: 'detached'});
});

test('captures: renamed and deleted, by keyboard', async page => {
	await openDesk(page);
	await take(page, 'threads', 0, 'old');
	await rowOf(page, 'old-').getByRole('button', {name: /^Rename/}).press('Enter');
	await page.getByRole('textbox', {name: /^New name/}).fill('new-name');
	await audit(page);
	await page.keyboard.press('Enter');
	await rowOf(page, 'new-name-').getByRole('button', {name: /^Delete/}).press('Enter');
	await page.keyboard.press('Escape');
	assert.equal(await rowOf(page, 'new-name-').count(), 1);
	await rowOf(page, 'new-name-').getByRole('button', {name: /^Delete/}).press('Enter');
	await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).press('Enter');
	await rowOf(page, 'new-name-').waitFor({state: 'detached'});
	assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Delete…', 'that of the next');
});

test('captures: what cannot be says why', async page => {
	await openDesk(page);
	await take(page, 'heap', 0, 'mine');
	await rowOf(page, 'mine-').getByRole('button', {name: /^Rename/}).click();
	await page.getByRole('textbox', {name: /^New name/}).fill('a..b');
	await page.getByRole('dialog').getByRole('button', {name: 'Rename'}).click();
	await page.getByText("A name has letters, digits").waitFor();
	await rowOf(page, 'mine-').getByRole('button', {name: /^Delete/}).click();
	await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
	await rowOf(page, 'mine-').waitFor({state: 'detached'});
}, {expected: /400 \(Bad Request\)/});

test('captures: the first page of pprof comes within 2 s', async page => {
	await openDesk(page);
	await take(page, 'heap', 0, 'quick');
	const begun = performance.now();

	await rowOf(page, 'quick-').getByRole('link', {name: 'Flame graph'}).click();
	await page.locator('#stack-chart').waitFor();
	assert.ok(performance.now() - begun < 2000, `${performance.now() - begun} ms`);
	await page.goBack();
	await rowOf(page, 'quick-').getByRole('button', {name: /^Delete/}).click();
	await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
	await rowOf(page, 'quick-').waitFor({state: 'detached'});
});
