"""The whole Flow3r model, slowly, written from its description, in NumPy.

It knows the released names and nothing of this package: loops over heads, patches and kernel
offsets, no convolution or attention of torch's. The images are tall, not square; the grid of
position embeddings is enlarged on one axis and reduced on the other.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erf

PATCH, SIDE = 14, 4
ENCODER_DEPTH, DECODER_DEPTH, HEADS, TASK_HEADS = 2, 4, 3, 2
SIZE = (84, 28)  # height, width
GRID = (6, 2)
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def layer_norm(x, weights, name, eps):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def relu(x):
    return np.maximum(x, 0)


def rotate(vector, position):
    """One head's query or key: y turns the first half of the channels, x the second."""
    half = len(vector) // 2
    turned = vector.copy()
    for axis in range(2):
        for k in range(half // 2):
            first, second = axis * half + k, axis * half + k + half // 2
            angle = position[axis] * 100.0 ** (-2 * k / half)
            a, b = vector[first], vector[second]
            turned[first] = a * np.cos(angle) - b * np.sin(angle)
            turned[second] = b * np.cos(angle) + a * np.sin(angle)
    return turned


def attention(x, weights, name, heads, positions):
    """Tokens [T, C]; positions [T, 2] or None."""
    width = x.shape[1]
    q, k, v = np.split(linear(x, weights, f"{name}.qkv"), 3, axis=1)
    out = np.empty_like(x)
    for head in range(heads):
        part = slice(head * width // heads, (head + 1) * width // heads)
        query, key = q[:, part], k[:, part]
        if f"{name}.q_norm.weight" in weights:
            query = layer_norm(query, weights, f"{name}.q_norm", 1e-5)
            key = layer_norm(key, weights, f"{name}.k_norm", 1e-5)
        if positions is not None:
            query = np.stack([rotate(vector, p) for vector, p in zip(query, positions)])
            key = np.stack([rotate(vector, p) for vector, p in zip(key, positions)])
        scores = np.exp(query @ key.T / np.sqrt(query.shape[1]))
        out[:, part] = scores / scores.sum(1, keepdims=True) @ v[:, part]
    return linear(out, weights, f"{name}.proj")


def block(x, weights, name, heads, positions=None):
    def scale(branch):
        return weights.get(f"{name}.{branch}.gamma", 1.0)

    normed = layer_norm(x, weights, f"{name}.norm1", 1e-6)
    x = x + scale("ls1") * attention(normed, weights, f"{name}.attn", heads, positions)
    hidden = linear(layer_norm(x, weights, f"{name}.norm2", 1e-6), weights, f"{name}.mlp.fc1")
    hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
    return x + scale("ls2") * linear(hidden, weights, f"{name}.mlp.fc2")


def resize_axis(values, length):
    """Bicubic with antialiasing along the first axis, weights normalised at the border."""
    scale = len(values) / length
    stretch = max(scale, 1.0)
    out = []
    for index in range(length):
        centre = (index + 0.5) * scale
        distance = np.abs((np.arange(len(values)) + 0.5 - centre) / stretch)
        near = 1.5 * distance**3 - 2.5 * distance**2 + 1
        far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
        weight = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
        out.append(np.tensordot(weight / weight.sum(), values, axes=1))
    return np.stack(out)


def encode(image, weights):
    """One image [3, H, W] -> patch tokens [L, C]."""
    image = (image - MEAN[:, None, None]) / STD[:, None, None]
    kernel, bias = (weights[f"encoder.patch_embed.proj.{n}"] for n in ("weight", "bias"))
    positions = weights["encoder.pos_embed"][0]
    grid = resize_axis(positions[1:].reshape(SIDE, SIDE, -1), GRID[0])
    grid = resize_axis(grid.swapaxes(0, 1), GRID[1]).swapaxes(0, 1)
    patches = []
    for row in range(GRID[0]):
        for column in range(GRID[1]):
            y, x = row * PATCH, column * PATCH
            patch = image[:, y : y + PATCH, x : x + PATCH]
            patches.append((kernel * patch).sum((1, 2, 3)) + bias + grid[row, column])
    special = [weights["encoder.cls_token"][0, 0] + positions[0]]
    special += list(weights["encoder.register_tokens"][0])
    tokens = np.stack(special + patches)
    for index in range(ENCODER_DEPTH):
        tokens = block(tokens, weights, f"encoder.blocks.{index}", HEADS)
    return layer_norm(tokens, weights, "encoder.norm", 1e-6)[len(special) :]


def backbone(images, weights):
    """One clip [N, 3, H, W] -> tokens of every frame [5 + L, 2C], and the tokens' positions."""
    patches = [(y + 1, x + 1) for y in range(GRID[0]) for x in range(GRID[1])]
    positions = [(0, 0)] * 5 + patches
    frames = [np.concatenate([weights["register_token"][0, 0], encode(i, weights)]) for i in images]
    for index in range(DECODER_DEPTH):
        if index % 2 == 0:
            frames = [block(f, weights, f"decoder.{index}", HEADS, positions) for f in frames]
            per_frame = frames
        else:
            joined = np.concatenate(frames)
            joined = block(joined, weights, f"decoder.{index}", HEADS, positions * len(frames))
            frames = np.split(joined, len(frames))
    return [np.concatenate(pair, axis=1) for pair in zip(per_frame, frames)], positions


def decode(tokens, weights, name, positions):
    """One frame -> patch features and the latents of the last four blocks, without registers."""
    x = linear(tokens, weights, f"{name}.projects")
    latents = []
    for index in range(5):
        x = block(x, weights, f"{name}.blocks.{index}", TASK_HEADS, positions)
        latents.append(x[5:])
    return linear(x, weights, f"{name}.linear_out")[5:], latents[1:]


def per_pixel(features, weights, name, channels):
    """Patch features -> [H, W, channels]; a patch holds channel, then row, then column."""
    values = linear(features, weights, name).reshape(*GRID, channels, PATCH, PATCH)
    out = np.empty((*SIZE, channels))
    for y in range(SIZE[0]):
        for x in range(SIZE[1]):
            out[y, x] = values[y // PATCH, x // PATCH, :, y % PATCH, x % PATCH]
    return out


def camera(features, weights):
    """Patch features of a frame -> world_from_camera."""
    for unit in range(2):
        inner = features
        for layer in (1, 2, 3):
            name = f"camera_head.res_conv.{unit}.res_conv{layer}"
            inner = relu(linear(inner, weights, name))
        features = features + inner
    pooled = features.mean(0)
    for layer in (0, 2):
        pooled = relu(linear(pooled, weights, f"camera_head.more_mlps.{layer}"))
    nine = linear(pooled, weights, "camera_head.fc_rot").reshape(3, 3)
    nine = nine / np.linalg.norm(nine, axis=1, keepdims=True)
    u, _, vt = np.linalg.svd(nine)
    pose = np.eye(4)
    pose[:3, :3] = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    pose[:3, 3] = linear(pooled, weights, "camera_head.fc_t")
    return pose


def convolve(x, weights, name, stride=1):
    """[C, h, w] with a kernel of odd size, padded by half of it."""
    kernel = weights[f"{name}.weight"]
    pad = kernel.shape[-1] // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    height, width = ((s - 1) // stride + 1 for s in x.shape[1:])
    out = np.zeros((len(kernel), height, width))
    for dy in range(kernel.shape[2]):
        for dx in range(kernel.shape[3]):
            shifted = padded[:, dy::stride, dx::stride][:, :height, :width]
            out += np.tensordot(kernel[:, :, dy, dx], shifted, axes=1)
    bias = weights.get(f"{name}.bias")
    return out if bias is None else out + bias[:, None, None]


def enlarge_by_kernel(x, weights, name):
    """A transposed convolution whose stride is its kernel's size."""
    kernel = weights[f"{name}.weight"]  # [in, out, k, k]
    size = kernel.shape[-1]
    out = np.empty((kernel.shape[1], x.shape[1] * size, x.shape[2] * size))
    for dy in range(size):
        for dx in range(size):
            out[:, dy::size, dx::size] = np.tensordot(kernel[:, :, dy, dx].T, x, axes=1)
    return out + weights[f"{name}.bias"][:, None, None]


def bilinear(x, size):
    """[C, h, w] -> [C, *size], corners on corners."""
    for axis, length in ((1, size[0]), (2, size[1])):
        place = np.linspace(0, x.shape[axis] - 1, length)
        low = np.minimum(place.astype(int), max(x.shape[axis] - 2, 0))
        high = np.minimum(low + 1, x.shape[axis] - 1)
        share = (place - low).reshape([-1 if a == axis else 1 for a in range(3)])
        x = x.take(low, axis) * (1 - share) + x.take(high, axis) * share
    return x


def with_coordinates(x):
    channels, height, width = x.shape
    aspect = SIZE[1] / SIZE[0]
    across = aspect / np.hypot(aspect, 1) * (width - 1) / width * np.linspace(-1, 1, width)
    down = 1 / np.hypot(aspect, 1) * (height - 1) / height * np.linspace(-1, 1, height)
    parts = []
    for coordinate in (across[None, :], down[:, None]):
        for function in (np.sin, np.cos):
            for k in range(channels // 4):
                angle = coordinate * 100.0 ** (-k / (channels // 4))
                parts.append(np.broadcast_to(function(angle), (height, width)))
    return x + 0.1 * np.stack(parts)


def residual(x, weights, name):
    """The in-place activation of the released unit changes what is added, too."""
    x = relu(x)
    return x + convolve(relu(convolve(x, weights, f"{name}.conv1")), weights, f"{name}.conv2")


def flow(points, cameras, target_cameras, weights):
    """Latents of both frames, per level -> target coordinates [H, W, 2] in pixels."""
    maps = []
    for level in range(4):
        pooled = np.tile(target_cameras[level].mean(0), (len(points[level]), 1))
        x = np.concatenate([cameras[level], pooled, points[level]], axis=1)
        for layer in (0, 2):
            x = relu(linear(x, weights, f"flow_head.mlp.{layer}"))
        x = layer_norm(linear(x, weights, "flow_head.mlp.4"), weights, "flow_head.norm", 1e-5)
        x = convolve(x.T.reshape(-1, *GRID), weights, f"flow_head.projects.{level}")
        x = with_coordinates(x)
        name = f"flow_head.resize_layers.{level}"
        if level < 2:
            x = enlarge_by_kernel(x, weights, name)
        elif level == 3:
            x = convolve(x, weights, name, stride=2)
        maps.append(convolve(x, weights, f"flow_head.scratch.layer{level + 1}_rn"))
    fused = None
    for level in (3, 2, 1, 0):
        name = f"flow_head.scratch.refinenet{level + 1}"
        if fused is None:
            fused = maps[level]
        else:
            fused = fused + residual(maps[level], weights, f"{name}.resConfUnit1")
        fused = residual(fused, weights, f"{name}.resConfUnit2")
        size = maps[level - 1].shape[1:] if level else [2 * s for s in fused.shape[1:]]
        fused = convolve(bilinear(fused, size), weights, f"{name}.out_conv")
    out = bilinear(convolve(fused, weights, "flow_head.scratch.output_conv1"), SIZE)
    out = with_coordinates(out)
    out = relu(convolve(out, weights, "flow_head.scratch.output_conv2.0"))
    left, up = convolve(out, weights, "flow_head.scratch.output_conv2.2")
    return np.stack([(1 - left) * (SIZE[1] - 1) / 2, (1 - up) * (SIZE[0] - 1) / 2], axis=-1)


def reconstruct(images, pairs, weights):
    """A clip [N, 3, H, W] -> the outputs by name, each with frames or pairs first."""
    frames, positions = backbone(images, weights)
    decoded = {
        part: [decode(f, weights, f"{part}_decoder", positions) for f in frames]
        for part in ("point", "conf", "camera")
    }
    raw = np.stack([per_pixel(f, weights, "point_head.proj", 3) for f, _ in decoded["point"]])
    depth = np.exp(raw[..., 2:])
    local_points = np.concatenate([raw[..., :2] * depth, depth], axis=-1)
    poses = np.stack([camera(features, weights) for features, _ in decoded["camera"]])
    rotated = np.einsum("nij,nhwj->nhwi", poses[:, :3, :3], local_points)
    confidence = [per_pixel(f, weights, "conf_head.proj", 1)[..., 0] for f, _ in decoded["conf"]]
    flows = [
        flow(decoded["point"][i][1], decoded["camera"][i][1], decoded["camera"][j][1], weights)
        for i, j in pairs
    ]
    return {
        "local_points": local_points,
        "points": rotated + poses[:, None, None, :3, 3],
        "confidence": np.stack(confidence),
        "world_from_camera": poses,
        "target_px": np.stack(flows),
    }
