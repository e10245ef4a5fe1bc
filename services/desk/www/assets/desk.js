// The desk: its panels, each a module with mount(element, hub, post), which may promise to be done later.
// One that fails leaves the others alone.
import {element} from './element.js';
import {hub, post} from './hub.js';

async function mount(name) {
	const body = document.querySelector(`#${name} .body`);

	try {
		const {mount: fill} = await import(`./${name}.js`);

		await fill(body, hub, post);
	} catch (error) {
		body.replaceChildren(element('p', {className: 'empty'}, 'This part of the page does not work; load it again.'));
		console.error(error);
	}
}

await Promise.all(['patient', 'vitals', 'captures'].map(mount));
hub.open();
document.addEventListener('visibilitychange', hub.open);
