// One file of the patient's sources: /source.html?file=services/...&line=51
import {element} from './element.js';
import {createListing} from './listing.js';

const wanted = new URLSearchParams(location.search);
const file = wanted.get('file') ?? '';
const place = document.getElementById('listing');

document.getElementById('file').textContent = file;
document.title = `${file.split('/').pop()} – Sickbay`;
try {
	place.append(await createListing(file, Number(wanted.get('line')), {whole: true}));
	document.getElementById('hit')?.scrollIntoView();
} catch (error) {
	place.append(element('p', {className: 'empty'}, error.message));
}
