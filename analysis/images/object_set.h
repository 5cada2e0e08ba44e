// ObjectSet: pictures whose objects are known, for measuring what a model says that is not there. Read from
// objects.json in a folder of pictures:
//   {"objects": {"red circle": ["red circle", "red disc"], ...},
//    "caption_prompt": "...", "question_prompt": "... {question} ...",          (both optional)
//    "pictures": [{"file": "0001.png", "objects": ["red circle"],
//                  "boxes": [{"object": "red circle", "box": [l, t, r, b]}], "captions": ["..."],
//                  "questions": [{"text": "Is there a red circle?", "answer": "yes", "kind": "random"}]}]}
// Thread: any.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "analysis/images/regions.h"
#include "kernels/base/result.h"

namespace saccade {

struct ObjectQuestion {
  std::string text;
  bool yes = false;
  std::string kind;  // random, popular, adversarial
};

struct ObjectPicture {
  std::string file;  // as in objects.json, in the folder
  std::set<std::string> objects;
  std::vector<PictureRegion> boxes;
  std::vector<std::string> captions;  // written by people: what they name is there, too
  std::vector<ObjectQuestion> questions;
};

struct ObjectSet {
  std::filesystem::path folder;
  std::map<std::string, std::vector<std::string>> vocabulary;  // object -> the words for it
  std::string caption_prompt, question_prompt;                 // empty: not given
  std::vector<ObjectPicture> pictures;
};

// Errors name the file, the picture and what is wrong: a picture file that is not there, an object outside
// the vocabulary, an object without words, no pictures, an answer that is neither yes nor no, a kind that
// there is not.
[[nodiscard]] Result<ObjectSet> read_object_set(const std::filesystem::path& folder);

// The objects that a text names, in order, one entry per mention: the longest words win, case does not
// matter, and a plural s or es at the end is allowed.
[[nodiscard]] std::vector<std::string> mentions_in(
    const std::string& text, const std::map<std::string, std::vector<std::string>>& vocabulary);

}  // namespace saccade
