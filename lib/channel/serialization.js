'use strict';

// V8's serialization format, with the same exceptions as Node's `serialization: 'advanced'`: views of memory are
// kept as what they are, and objects of Node's own are sent as their properties, as JSON would.

const v8 = require('node:v8');

const VIEW = 0;
const PROPERTIES = 1;

class Serializer extends v8.DefaultSerializer {
  /** @param {object} object */
  _writeHostObject(object) {
    if (ArrayBuffer.isView(object)) {
      this.writeUint32(VIEW);
      // @ts-expect-error: not in the types.
      return super._writeHostObject(object);
    }
    this.writeUint32(PROPERTIES);
    this.writeValue({ ...object });
  }
}

class Deserializer extends v8.DefaultDeserializer {
  _readHostObject() {
    // @ts-expect-error: not in the types.
    return this.readUint32() === VIEW ? super._readHostObject() : this.readValue();
  }
}

/**
 * @param {unknown[]} values
 * @returns {Buffer}
 */
function serialize(...values) {
  const serializer = new Serializer();
  serializer.writeHeader();
  for (const value of values) serializer.writeValue(value);
  return serializer.releaseBuffer();
}

/**
 * Reads `count` values. Throws when the bytes are not of this format.
 *
 * @param {Buffer} bytes
 * @param {number} count
 * @returns {any[]}
 */
function deserialize(bytes, count) {
  const deserializer = new Deserializer(bytes);
  deserializer.readHeader();
  const values = [];
  for (let index = 0; index < count; index++) values.push(deserializer.readValue());
  return values;
}

/**
 * Reads several messages, each behind its length.
 *
 * @param {Buffer} run
 * @returns {any[]}
 */
function deserializeRun(run) {
  const messages = [];
  for (let start = 0; start < run.length; ) {
    const end = start + 4 + run.readUInt32LE(start);
    messages.push(deserialize(run.subarray(start + 4, end), 1)[0]);
    start = end;
  }
  return messages;
}

module.exports = { deserialize, deserializeRun, serialize };
