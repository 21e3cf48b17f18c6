"use strict";

/* A picture file as grey pixels of at most 256 a side, decoded by the browser; Python finds the digit in them. */
async function greyOf(file) {
  const picture = await createImageBitmap(file);
  const shrink = Math.min(1, 256 / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(picture.width * shrink)), height = Math.max(1, Math.round(picture.height * shrink));
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i++) grey[i] = Math.round(0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
  return { width, height, data: numbers().encode(grey) };
}
