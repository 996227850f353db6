#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

// `label_map` of the JSON beside a model; -1 where the JSON has null.
struct LabelMap {
  int num_ids;
  std::vector<int> id_of_value;
  int unknown_value = -1;
  int unknown = -1;
};

// Class ids of what a label map file holds. A value of no class is an error, never a guess.
inline std::vector<int> ToIds(const std::vector<int>& values, const LabelMap& map) {
  std::vector<int> ids(values.size());
  for (size_t pixel = 0; pixel < values.size(); ++pixel) {
    const int value = values[pixel];
    const bool is_known = value >= 0 && static_cast<size_t>(value) < map.id_of_value.size();
    int id = is_known ? map.id_of_value[value] : -1;
    if (id < 0 && value == map.unknown_value) id = map.unknown;
    if (id < 0) {
      throw std::out_of_range("label map: value " + std::to_string(value) + " at pixel " +
                              std::to_string(pixel) + " is of no class");
    }
    ids[pixel] = id;
  }
  return ids;
}

// True where a pixel's instance differs from that of the one above, below, left or right of it.
inline std::vector<bool> InstanceEdges(const std::vector<int>& instance, size_t height,
                                       size_t width) {
  std::vector<bool> edges(height * width);
  const auto compare = [&](size_t pixel, size_t other) {
    if (instance[pixel] != instance[other]) edges[pixel] = edges[other] = true;
  };
  for (size_t y = 0; y < height; ++y) {
    for (size_t x = 0; x < width; ++x) {
      const size_t pixel = y * width + x;
      if (x + 1 < width) compare(pixel, pixel + 1);
      if (y + 1 < height) compare(pixel, pixel + width);
    }
  }
  return edges;
}

// The input `semantics`. `values`: what a label map file holds, row by row. `instance`: instance
// ids, row by row, or empty for none.
inline std::vector<float> ToSemantics(const std::vector<int>& values,
                                      const std::vector<int>& instance, const LabelMap& map,
                                      size_t height, size_t width, size_t channels) {
  const size_t pixels = height * width;
  if (values.size() != pixels || (!instance.empty() && instance.size() != pixels)) {
    throw std::invalid_argument("label map: the model takes " + std::to_string(width) + "x" +
                                std::to_string(height) + " pixels");
  }
  std::vector<float> semantics(pixels * channels, 0.0f);
  const std::vector<int> ids = ToIds(values, map);
  for (size_t pixel = 0; pixel < pixels; ++pixel) semantics[pixel * channels + ids[pixel]] = 1.0f;
  if (!instance.empty() && channels > static_cast<size_t>(map.num_ids)) {
    const std::vector<bool> edges = InstanceEdges(instance, height, width);
    for (size_t pixel = 0; pixel < pixels; ++pixel) {
      if (edges[pixel]) semantics[pixel * channels + map.num_ids] = 1.0f;
    }
  }
  return semantics;
}
