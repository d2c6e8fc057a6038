// Random choices that are the same again for the same seed and index.
export class Dice {
  #state;

  constructor(seed, index) {
    this.#state = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0 || 1;
    for (let round = 0; round < 8; round++) this.next();
  }

  // From 0 up to 1, by xorshift.
  next() {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state / 2 ** 32;
  }

  // True in that share of the cases.
  of(share) {
    return this.next() < share;
  }

  // A whole number from 0, below `end`.
  below(end) {
    return Math.floor(this.next() * end);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  times(least, most, make) {
    return Array.from({ length: least + this.below(most - least + 1) }, make);
  }

  shuffled(list) {
    return list.map((item) => [this.next(), item]).sort(([a], [b]) => a - b).map(([, item]) => item);
  }
}
