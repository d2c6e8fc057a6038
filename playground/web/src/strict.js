// What lets the editor live under a Content-Security-Policy without 'unsafe-inline'. Monaco makes style elements, and
// writes style attributes into HTML. Here each style element gets the page's nonce, and each such attribute is set
// through the style object instead, which the policy allows. It has to be loaded before anything else.

const nonce = document.querySelector('meta[name="cosell"]').nonce;
const PARKED = 'data-parked-style';

const createElement = Document.prototype.createElement;
Document.prototype.createElement = function (...given) {
  const element = createElement.apply(this, given);
  if (element instanceof HTMLStyleElement) element.nonce = nonce;
  return element;
};

/** The same HTML, with style attributes under a name that means nothing. Only tags are looked at: text stays. */
function park(html) {
  return String(html).replace(/<[a-z][^<>]*>/gi, (tag) => tag.replace(/(\s)style\s*=/gi, `$1${PARKED}=`));
}

function unpark(root) {
  for (const element of root?.querySelectorAll(`[${PARKED}]`) ?? []) {
    element.style.cssText = element.getAttribute(PARKED);
    element.removeAttribute(PARKED);
  }
}

for (const [prototype, name] of [
  [Element.prototype, 'innerHTML'],
  [ShadowRoot.prototype, 'innerHTML'],
]) {
  const { get, set } = Object.getOwnPropertyDescriptor(prototype, name);
  Object.defineProperty(prototype, name, {
    configurable: true,
    enumerable: true,
    get,
    set(html) {
      set.call(this, park(html));
      unpark(this instanceof HTMLTemplateElement ? this.content : this);
    },
  });
}

const insertAdjacentHTML = Element.prototype.insertAdjacentHTML;
Element.prototype.insertAdjacentHTML = function (where, html) {
  insertAdjacentHTML.call(this, where, park(html));
  // Before its begin and after its end is its parent.
  unpark(/^(beforebegin|afterend)$/i.test(where) ? this.parentNode : this);
};

const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (String(name).toLowerCase() === 'style' && this.style) this.style.cssText = value;
  else setAttribute.call(this, name, value);
};
