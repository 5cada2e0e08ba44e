// Where scanpaths over the picture come from: the model's own (a word or a layer per fixation, or the shown
// map's highest places one after another) and people's, from files. Coordinates are the original picture's
// pixels. Thread: the GUI thread.
#pragma once

#include "analysis/scanpath/attention_scanpath.h"
#include "app/views/picture/picture_scene.h"

namespace saccade {

enum class ModelPath { none, words, layers, winners };

// The model's path; the subject says what it is. Errors say what is missing and what to do.
[[nodiscard]] Result<Scanpath> model_path(ModelPath kind, const Workbench& workbench, AttentionRows& rows,
                                          const PictureScene& scene);

// The paths of a file that are on this picture: those of its name, or all where the file has one picture
// only; brought to the picture's size.
[[nodiscard]] Result<std::vector<Scanpath>> people_on(const ScanpathSet& set, const std::string& picture,
                                                      PictureSize size);
[[nodiscard]] PictureSize size_of(const PictureScene& scene);

}  // namespace saccade
