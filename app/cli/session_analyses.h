// The analyses that a session lists, as replay makes them.
#pragma once

#include "app/cli/work.h"

namespace saccade::cli {

struct AnalysesDone {
  Json list = Json::array();       // one object per analysis: name, method, findings, file, departures
  std::string text;                // the same to read
  std::vector<std::string> files;  // written
};

// Makes every analysis on the replayed run. session_file: texts of parameters that name a file beside it mean
// that file. out: a folder, where NAME.json is written and, in NAME.answers, what makes a stopped sweep go
// on; empty: nothing is written. reference: a JSON file that the analyses' pointers lead into; empty: none.
Result<AnalysesDone> run_analyses(const Context& context, const Session& session,
                                  const std::string& session_file, const Work& work, const std::string& out,
                                  const std::string& reference);

}  // namespace saccade::cli
