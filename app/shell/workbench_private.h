// What the files of the workbench share and nobody else sees.
#pragma once

#include <QMetaObject>
#include <functional>

#include "app/shell/workbench.h"
#include "app/shell/workbench_work.h"

namespace saccade {

struct Workbench::Private {
  std::shared_ptr<EngineSide> side;  // touched by engine jobs only; the handle is passed to them
  uint64_t generation = 0;           // of the newest request for runs; results of older ones are dropped
  std::vector<int32_t> ids;          // instead of the prompt, from a session
  std::optional<Session> pending;    // what to apply once its model is open
  std::vector<Selection> visited;    // back and forward
  size_t visited_at = 0;
  int last_number = 0;            // of results
  bool chosen_by_person = false;  // whether a head was selected by hand since the model was opened

  // Runs a closure on the GUI thread, if the workbench still lives then.
  static void post(Workbench* workbench, std::function<void()> work) {
    QMetaObject::invokeMethod(workbench, std::move(work), Qt::QueuedConnection);
  }
  static void post_error(Workbench* workbench, const Error& error) {
    if (error.code == ErrorCode::cancelled) return;
    const QString message = QString::fromStdString(error.message);
    const QString details = QString::fromStdString(error.to_string());
    post(workbench, [workbench, message, details] { Q_EMIT workbench->failed(message, details); });
  }
};

}  // namespace saccade
