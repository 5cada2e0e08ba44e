#include "app/views/jobs/jobs_strip.h"

#include <QEvent>
#include <QHBoxLayout>
#include <algorithm>

namespace saccade {

JobsStrip::JobsStrip(Workbench& workbench, QWidget* parent) : QWidget(parent), workbench_(workbench) {
  setAccessibleName(tr("Jobs"));
  title_ = new QLabel(tr("Ready"), this);
  title_->setMinimumWidth(220);
  bar_ = new QProgressBar(this);
  bar_->setRange(0, 1000);
  bar_->setFixedWidth(180);
  bar_->setMaximumHeight(14);
  bar_->setTextVisible(false);
  bar_->setAccessibleName(tr("Progress"));
  left_ = new QLabel(this);
  left_->setMinimumWidth(80);
  stop_ = new QPushButton(tr("Stop"), this);
  stop_->setAccessibleName(tr("Stop the running job"));
  finding_ = new QLabel(this);
  finding_->setObjectName("finding");
  finding_->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  finding_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  auto* layout = new QHBoxLayout(this);
  layout->setContentsMargins(8, 2, 8, 2);
  layout->setSpacing(8);
  for (QWidget* widget : {static_cast<QWidget*>(title_), static_cast<QWidget*>(bar_),
                          static_cast<QWidget*>(left_), static_cast<QWidget*>(stop_)})
    layout->addWidget(widget);
  layout->addWidget(finding_, 1);
  soon_.setSingleShot(true);
  soon_.setInterval(50);
  connect(&soon_, &QTimer::timeout, this, &JobsStrip::refresh);
  connect(&workbench, &Workbench::jobs_changed, this, [this] {
    if (!soon_.isActive()) soon_.start();
  });
  connect(&workbench, &Workbench::finding_changed, this, [this] {
    finding_->setText(workbench_.finding());
    const bool leads = workbench_.finding_result() != 0;
    finding_->setToolTip(leads ? workbench_.finding() + tr("\n(click to see the result)")
                               : workbench_.finding());
    finding_->setCursor(leads ? Qt::PointingHandCursor : Qt::ArrowCursor);
    QFont font = finding_->font();
    font.setUnderline(leads);
    finding_->setFont(font);
  });
  finding_->installEventFilter(this);
  connect(stop_, &QPushButton::clicked, this, [this] { workbench_.engine().cancel(running_); });
  refresh();
}

// A click on the finding shows the result it is from.
bool JobsStrip::eventFilter(QObject* watched, QEvent* event) {
  if (watched == finding_ && event->type() == QEvent::MouseButtonRelease && workbench_.finding_result() != 0)
    workbench_.show_result(workbench_.finding_result());
  return QWidget::eventFilter(watched, event);
}

void JobsStrip::refresh() {
  const std::vector<JobStatus> jobs = workbench_.engine().jobs();
  const auto running = std::find_if(jobs.begin(), jobs.end(),
                                    [](const JobStatus& job) { return job.state == JobState::running; });
  const bool busy = running != jobs.end();
  const auto waiting = std::count_if(jobs.begin(), jobs.end(),
                                     [](const JobStatus& job) { return job.state == JobState::waiting; });
  for (QWidget* widget :
       {static_cast<QWidget*>(bar_), static_cast<QWidget*>(left_), static_cast<QWidget*>(stop_)})
    widget->setVisible(busy);
  if (!busy) return title_->setText(tr("Ready"));
  running_ = running->id;
  QString text = QString::fromStdString(running->title);
  if (!running->what.empty()) text += QStringLiteral(" – ") + QString::fromStdString(running->what);
  if (waiting > 0) text += tr("  (+%1 waiting)").arg(waiting);
  title_->setText(text);
  bar_->setValue(static_cast<int>(1000 * running->fraction));
  left_->setText(running->seconds_left && *running->seconds_left >= 1.0
                     ? tr("%1 s left").arg(static_cast<int>(*running->seconds_left + 0.5))
                     : QString());
}

}  // namespace saccade
