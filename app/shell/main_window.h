// MainWindow: the arrangement of views around one workbench, and the verbs in menus, shortcuts and drops.
#pragma once

#include <QActionGroup>
#include <QImage>
#include <QLabel>
#include <QLineEdit>
#include <QMainWindow>
#include <QMenu>
#include <QTabWidget>
#include <QToolButton>

#include "app/shell/workbench.h"

namespace saccade {

class AnswerView;
class ArcsView;
class CircuitView;
class EditsView;
class ErrorBar;
class FoundCard;
class HeadGridView;
class HeadMapView;
class HeadsTableView;
class MethodsView;
class PictureView;
class PromptView;
class ResultsView;
class ScatterView;

enum class FigureKind { map, grid, comparison };

class MainWindow : public QMainWindow {
  Q_OBJECT
 public:
  explicit MainWindow(const WorkbenchOptions& options, QWidget* parent = nullptr);

  [[nodiscard]] Workbench& workbench() { return workbench_; }
  // The last session, or the demo with its first prompt.
  void open_last();
  void add_demos(QMenu* menu);
  void open_demo(const std::string& name = "induction");  // with its first sample
  // Nothing is waiting or running, and what is visible has been drawn in full.
  [[nodiscard]] bool settled() const;
  // A picture of the window as it is on screen.
  [[nodiscard]] QImage picture();
  void export_figure(FigureKind kind, const QString& path);
  void set_remember_session(bool remember) { remember_session_ = remember; }

  [[nodiscard]] HeadMapView* map_view() const { return map_; }
  [[nodiscard]] HeadGridView* grid_view() const { return grid_; }
  [[nodiscard]] AnswerView* answer_view() const { return answer_; }
  [[nodiscard]] ErrorBar* error_bar() const { return error_bar_; }
  [[nodiscard]] FoundCard* found_card() const { return found_card_; }
  [[nodiscard]] MethodsView* methods_view() const { return methods_; }
  [[nodiscard]] ResultsView* results_view() const { return results_; }
  [[nodiscard]] ScatterView* scatter_view() const { return scatter_; }
  [[nodiscard]] CircuitView* circuit_view() const { return circuit_; }
  [[nodiscard]] PictureView* picture_view() const { return picture_; }
  // Brings the panel that a view stands in to the front.
  void raise_view(QWidget* view);
  [[nodiscard]] QTabWidget* tabs() const { return tabs_; }

 protected:
  void closeEvent(QCloseEvent* event) override;
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dropEvent(QDropEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void build_views();
  void build_tool_bar();
  void build_file_menu();
  void build_edit_menu();
  void build_view_menu();
  void build_methods_menu();
  void build_help_menu();
  QDockWidget* add_dock(const QString& title, QWidget* view, Qt::DockWidgetArea area);
  void update_status();
  void find(const QString& text);
  void ask_open_folder();
  void ask_open_file();
  void ask_open_picture();
  void paste_picture();
  void show_picture_tab();  // there for models and requests with pictures only
  void ask_save_session();
  void ask_export_figure(FigureKind kind);
  void ask_export_dump();
  void remember_recent(const QString& where);
  void fill_recent();
  void show_shortcuts();

  Workbench workbench_;
  HeadMapView* map_ = nullptr;
  ArcsView* arcs_ = nullptr;
  CircuitView* circuit_ = nullptr;
  ScatterView* scatter_ = nullptr;
  PictureView* picture_ = nullptr;
  MethodsView* methods_ = nullptr;
  ResultsView* results_ = nullptr;
  HeadGridView* grid_ = nullptr;
  AnswerView* answer_ = nullptr;
  HeadsTableView* heads_ = nullptr;
  PromptView* prompt_ = nullptr;
  EditsView* edits_ = nullptr;
  ErrorBar* error_bar_ = nullptr;
  FoundCard* found_card_ = nullptr;
  QTabWidget* tabs_ = nullptr;
  QToolButton* model_button_ = nullptr;
  QLabel* status_ = nullptr;
  QLineEdit* find_ = nullptr;
  QActionGroup* shown_ = nullptr;
  QMenu* recent_ = nullptr;
  QMenu* panels_ = nullptr;
  bool remember_session_ = true;
  std::optional<Shown> held_;  // what was shown before B was held down
};

}  // namespace saccade
