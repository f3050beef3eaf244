// Making elements.  Texts of the model become text nodes only, so a name is shown and never run.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);

const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

// The names of some things, cut after a few.
function listed(names, most = 8) {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown}, … ${(names.length - most).toLocaleString("en")} more` : shown;
}

// A number as people write it: a proper minus sign, and powers and products of parameters.
const signed = (text) => text?.replaceAll("-", "\u2212").replaceAll("**", "^").replaceAll("*", " ");

// "Q V = V Q^" with a hat in place of ^.
const hatted = (identity) => identity.replaceAll("^-1", "\u207b\u00b9").replace(/([A-Za-z])\^/g, "$1\u0302");

const setOf = (names, most) => `{${listed(names, most)}}`;

// A to Z, then A1 to Z1 and so on.
const letter = (number) => String.fromCharCode(65 + (number % 26)) + (number < 26 ? "" : Math.floor(number / 26));

// The mark of a block: its letter on its colour, with its pattern over it.
function chip(group) {
  const badge = h("span", { class: "chip", title: `block ${group.name}` }, group.name);
  paint(badge, group.colour);
  return badge;
}

function paint(element, colour) {
  element.dataset.colour = colour < 0 ? "none" : colour % story.colours;
  element.dataset.pattern = colour < 0 ? 0 : Math.floor(colour / story.colours) % story.patterns;
}
