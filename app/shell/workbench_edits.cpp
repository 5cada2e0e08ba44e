// The workbench's prompt, selection and edits.
#include <algorithm>

#include "app/shell/workbench.h"
#include "app/shell/workbench_private.h"

namespace saccade {

void Workbench::set_prompt(const QString& text, bool add_bos) {
  if (text == prompt_ && add_bos == add_bos_ && d_->ids.empty() && run_a_) return;
  prompt_ = text;
  add_bos_ = add_bos;
  d_->ids.clear();
  text_a_ = text_b_ = {};
  selection_.query = selection_.key = selection_.word = -1;
  engine_->cancel_key("generate");
  Q_EMIT generation_changed();
  request_runs();
}

void Workbench::remember_selection() {
  if (!d_->visited.empty() && d_->visited[d_->visited_at] == selection_) return;
  d_->visited.resize(std::min(d_->visited.size(), d_->visited_at + 1));
  d_->visited.push_back(selection_);
  d_->visited_at = d_->visited.size() - 1;
}

void Workbench::select_head(HeadId head, bool toggle) {
  d_->chosen_by_person = true;
  std::vector<HeadId>& heads = selection_.heads;
  const auto found = std::find(heads.begin(), heads.end(), head);
  if (!toggle) {
    heads = {head};
    selection_.head = head;
  } else if (found == heads.end()) {
    heads.push_back(head);
    selection_.head = head;
  } else if (heads.size() > 1) {
    heads.erase(found);
    selection_.head = heads.back();
  }
  remember_selection();
  Q_EMIT selection_changed();
  update_finding();
}

void Workbench::select_heads(const std::vector<HeadId>& heads) {
  if (heads.empty()) return;
  d_->chosen_by_person = true;
  selection_.heads = heads;
  if (std::find(heads.begin(), heads.end(), selection_.head) == heads.end()) selection_.head = heads.front();
  remember_selection();
  Q_EMIT selection_changed();
  update_finding();
}

void Workbench::select_known_heads(const std::vector<HeadId>& heads) {
  const auto capture = shown_capture();
  if (!capture) return;
  std::vector<HeadId> known;
  for (const HeadId head : heads)
    if (head.layer.value < capture->spec.n_layer && head.head.value < capture->spec.n_head &&
        std::find(known.begin(), known.end(), head) == known.end())
      known.push_back(head);
  if (!known.empty()) select_heads(known);
}

void Workbench::select_tokens(int query, int key) {
  if (selection_.query == query && selection_.key == key && selection_.word < 0) return;
  selection_.word = -1;
  selection_.query = query;
  selection_.key = key;
  remember_selection();
  Q_EMIT selection_changed();
}

void Workbench::set_edits(std::vector<Edit> edits, const QString& coalesce_tag) {
  if (edits == history_.edits()) return;
  history_.set(std::move(edits), coalesce_tag.toStdString());
  Q_EMIT edits_changed();
  request_runs();
}

void Workbench::add_edit(const Edit& edit) {
  std::vector<Edit> edits = history_.edits();
  edits.push_back(edit);
  set_edits(std::move(edits));
}

void Workbench::zero_selected_heads() {
  std::vector<Edit> edits = history_.edits();
  const auto zero_of = [](HeadId head) {
    Edit edit;
    edit.verb = EditVerb::zero;
    edit.target = target_of(head);
    return edit;
  };
  const auto zeroed = [&](HeadId head) {
    return std::find(edits.begin(), edits.end(), zero_of(head)) != edits.end();
  };
  const bool all = std::all_of(selection_.heads.begin(), selection_.heads.end(), zeroed);
  for (const HeadId head : selection_.heads) {
    if (all)
      std::erase(edits, zero_of(head));
    else if (!zeroed(head))
      edits.push_back(zero_of(head));
  }
  set_edits(std::move(edits));
}

void Workbench::isolate_selected_heads() {
  if (!model_ || selection_.heads.empty()) return;
  std::vector<Edit> edits = history_.edits();
  const auto selected = [&](HeadId head) {
    return std::find(selection_.heads.begin(), selection_.heads.end(), head) != selection_.heads.end();
  };
  for (int32_t l = 0; l < model_->spec().n_layer; ++l) {
    const bool layer = std::any_of(selection_.heads.begin(), selection_.heads.end(),
                                   [&](HeadId head) { return head.layer.value == l; });
    IndexSet others;
    for (int32_t h = 0; layer && h < model_->spec().n_head; ++h)
      if (!selected({LayerIndex{l}, HeadIndex{h}})) others.ranges.emplace_back(h, h);
    if (others.ranges.empty()) continue;
    Edit edit;
    edit.verb = EditVerb::zero;
    edit.target = HeadTarget{{{{l, l}}}, others};
    if (std::find(edits.begin(), edits.end(), edit) == edits.end()) edits.push_back(edit);
  }
  set_edits(std::move(edits));
}

void Workbench::undo() {
  if (!history_.can_undo()) return;
  history_.undo();
  Q_EMIT edits_changed();
  request_runs();
}

void Workbench::redo() {
  if (!history_.can_redo()) return;
  history_.redo();
  Q_EMIT edits_changed();
  request_runs();
}

void Workbench::back() {
  if (d_->visited_at == 0) return;
  selection_ = d_->visited[--d_->visited_at];
  Q_EMIT selection_changed();
  update_finding();
}

void Workbench::forward() {
  if (d_->visited_at + 1 >= d_->visited.size()) return;
  selection_ = d_->visited[++d_->visited_at];
  Q_EMIT selection_changed();
  update_finding();
}

}  // namespace saccade
