// Reads the data that `columns.rs` wrote: base64 → zlib → JSON and columns of LEB128 numbers.

/** The recording in the element `id`, which must be of a form: `{ meta, columns }`, columns by name as typed arrays. */
async function decodeRecording(id, format) {
  const element = byId(id);
  const bytes = await inflate(fromBase64(element.textContent));
  element.remove(); // The text is no longer needed and is megabytes long.
  const jsonLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const meta = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + jsonLength)));
  if (meta.format !== format) throw new Error(`the page's data has form ${meta.format}, not ${format}`);
  const columns = {};
  let offset = 4 + jsonLength;
  for (const { name, count, bytes: length, delta, wide } of meta.columns) {
    columns[name] = readColumn(bytes.subarray(offset, offset + length), count, delta, wide);
    offset += length;
  }
  return { meta, columns };
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function readColumn(bytes, count, isDelta, isWide) {
  const values = isWide ? new Float64Array(count) : new Int32Array(count);
  let position = 0;
  let before = 0;
  for (let index = 0; index < count; index += 1) {
    let byte = bytes[position++];
    let value = byte & 127;
    // Numbers beyond 32 bits occur in wide columns, so the upper bits are added, not shifted.
    for (let scale = 128; byte & 128; scale *= 128) {
      byte = bytes[position++];
      value += (byte & 127) * scale;
    }
    if (isDelta) {
      before += value % 2 ? -(value + 1) / 2 : value / 2;
      value = before;
    }
    values[index] = value;
  }
  if (position !== bytes.length) throw new Error("a column of the page's data is damaged");
  return values;
}
