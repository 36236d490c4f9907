/* SPDX-License-Identifier: MIT */
#include "host/train_data.h"
#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "host/checked.h"
#include "host/engine.h"
#include "host/jpeg_plan.h"
#include "host/rng.h"
#include "host/stream.h"
struct picture { struct vj_jpeg_plan *plan; uint8_t *ref, *map; size_t w, h; int ch, qf_true, anchor; };
struct vj_train_data { struct vj_config c; struct picture *p; size_t n, patches, S; size_t bytes; enum vj_positive_class pos;
 struct vj_jpeg_scratch **scratch; int threads; struct { uint8_t *r,*j,*d; uint32_t *ref; float *t,*imp;} b[2]; };
static int load(struct vj_train_data*t,const struct vj_dataset*ds,size_t item,struct picture*p,const struct vj_jnd_model*m,size_t var,struct vj_error*err){
 struct vj_loaded l={.index=item}; struct vj_stream_options o={.threads=1,.slots=1,.image={.max_pixels=t->c.max_pixels},.max_width=1<<14,.max_height=1<<14,.min_side=t->S};
 vj_load_item(&l,ds,&o); int r=l.error.code?vj_fail(err,l.error.code,"%s",l.error.text):0; if(r){vj_loaded_free(&l);return r;}
 p->w=l.source.width;p->h=l.source.height;p->ch=l.source.channels;p->qf_true=l.item.qf_true;p->anchor=l.item.anchor_qf; size_t n=p->w*p->h;
 r=vj_jpeg_plan_create(&p->plan,&l.source,t->c.sampling==0?VJ_SUBSAMPLING_420:VJ_SUBSAMPLING_444,err);
 struct vj_jpeg_scratch*s=NULL; if(!r) r=vj_jpeg_scratch_create(&s,p->w,p->h,3,VJ_SUBSAMPLING_444,err);
 p->ref=malloc(n*3); p->map=malloc(n); float*map=malloc(n*4); uint8_t*luma=malloc(n);
 if(!r&&p->anchor) r=vj_jpeg_plan_decode(p->plan,p->anchor,p->ref,s,err); else memcpy(p->ref,l.source.data,n*(size_t)p->ch);
 vj_jpeg_scratch_free(s); vj_jnd_luma(&l.source,luma);
 struct vj_jnd_workspace*ws=NULL; if(!r) r=vj_jnd_workspace_create(&ws,vj_jnd_workspace_bytes(m,p->w,p->h,1),1,err);
 struct vj_jnd_job job={.luma=luma,.width=p->w,.height=p->h,.variant=var,.map=map}; if(!r) r=vj_jnd_run(m,&job,ws,err);
 if(!r) r=vj_jnd_to_u8(map,n,(enum vj_jnd_scale)t->c.jnd_scale,p->map,err);
 vj_jnd_workspace_free(ws); free(map);free(luma);vj_loaded_free(&l); return r; }
int vj_train_data_open(struct vj_train_data **out, const struct vj_config *config, const struct vj_dataset *ds, const size_t *item, size_t count, const struct vj_net_shape *shape, enum vj_positive_class positive, struct vj_error *err){
 struct vj_train_data*t=vj_calloc(1,sizeof*t); *out=t; t->c=*config; t->n=count; t->S=(size_t)shape->patch_size; t->patches=config->patches?(size_t)config->patches:(size_t)shape->patches; t->pos=positive;
 t->p=vj_calloc(count,sizeof*t->p); t->threads=vj_engine_threads(config->threads);
 const struct vj_jnd_model*m=vj_jnd_find(config->jnd_model,err); size_t var; if(!m) return -EINVAL; int r=vj_jnd_variant_find(&var,m,config->jnd_variant[0]?config->jnd_variant:NULL,err); if(r) return r;
 int failed=0; size_t mw=0,mh=0;
#pragma omp parallel for schedule(dynamic,1) num_threads(t->threads)
 for(size_t i=0;i<count;i++){ struct vj_error own={0}; int q=load(t,ds,item[i],&t->p[i],m,var,&own); if(q)
#pragma omp critical
  failed=vj_fail(err,q,"%s",own.text); }
 if(failed) return failed;
 for(size_t i=0;i<count;i++){ if(t->p[i].w>mw)mw=t->p[i].w; if(t->p[i].h>mh)mh=t->p[i].h; }
 t->scratch=vj_calloc((size_t)t->threads,sizeof*t->scratch); for(int i=0;i<t->threads&&!r;i++) r=vj_jpeg_scratch_create(&t->scratch[i],mw,mh,3,VJ_SUBSAMPLING_444,err);
 size_t G=(size_t)config->batch,N=G*(size_t)config->batch_levels,px=t->S*t->S*t->patches;
 for(int k=0;k<2;k++){ t->b[k].r=vj_calloc(G*px,3);t->b[k].j=vj_calloc(G*px,1);t->b[k].d=vj_calloc(N*px,3);t->b[k].ref=vj_calloc(N,4);t->b[k].t=vj_calloc(N,4);t->b[k].imp=vj_calloc(N,4);} return r; }
void vj_train_data_close(struct vj_train_data *t){ (void)t; }
size_t vj_train_data_patches(const struct vj_train_data *t){return t->patches;}
size_t vj_train_data_bytes(const struct vj_train_data *t){return t->bytes;}
struct key{uint32_t k,i;};
static int cmp(const void*a,const void*b){const struct key*x=a,*y=b; return x->k<y->k?-1:x->k>y->k?1:(x->i>y->i)-(x->i<y->i);}
static size_t pick(struct vj_train_data*t,uint64_t k){ uint64_t e=k/t->n; size_t at=k%t->n; struct key*v=malloc(t->n*sizeof*v); for(size_t i=0;i<t->n;i++){v[i].i=(uint32_t)i;v[i].k=vj_random4(t->c.seed,VJ_RNG_PAIRS,e|(1ull<<63),(uint32_t)i).v[0];} qsort(v,t->n,sizeof*v,cmp); size_t r=v[at].i; free(v); return r; }
static int draw_qf(struct vj_train_data*t,const struct picture*p,uint32_t w0,uint32_t w1,int side){
 int last=p->anchor?p->anchor-1:t->c.qf_last, first=t->c.qf_first; if(last>t->c.qf_last)last=t->c.qf_last;
 if(t->c.pairs==0) return first+(int)vj_random_below(w0,(uint32_t)(last-first+1));
 int lossy=side, nl=p->qf_true-first+1, nh=last-p->qf_true; if(nl<=0)lossy=0; if(nh<=0)lossy=1; int n=lossy?nl:nh; (void)w1;
 int d=t->c.pairs==1?(int)vj_random_below(w0,(uint32_t)n):(int)floor(exp(vj_random_unit(w0)*log(n+1)))-1; if(d>=n)d=n-1;
 return lossy?p->qf_true-d:p->qf_true+1+d; }
static void flip(uint8_t*a,size_t S,size_t ch,int fx,int fy){ if(fx) for(size_t y=0;y<S;y++) for(size_t x=0;x<S/2;x++) for(size_t c=0;c<ch;c++){uint8_t*p=a+(y*S+x)*ch+c,*q=a+(y*S+S-1-x)*ch+c;uint8_t v=*p;*p=*q;*q=v;}
 if(fy) for(size_t y=0;y<S/2;y++) for(size_t x=0;x<S*ch;x++){uint8_t*p=a+y*S*ch+x,*q=a+(S-1-y)*S*ch+x;uint8_t v=*p;*p=*q;*q=v;} }
static void gather(const uint8_t*pic,size_t w,int ch,const int32_t o[2],size_t S,uint8_t*to,int want){ for(size_t y=0;y<S;y++) for(size_t x=0;x<S;x++) for(int c=0;c<want;c++) to[(y*S+x)*(size_t)want+(size_t)c]=pic[(((size_t)o[0]+y)*w+(size_t)o[1]+x)*(size_t)ch+(size_t)(ch==1?0:c)]; }
int vj_train_data_batch(struct vj_train_data *t, uint64_t step, struct vj_train_batch *batch, struct vj_error *err){
 size_t G=(size_t)t->c.batch,L=(size_t)t->c.batch_levels,P=t->patches,S=t->S,px=S*S; int k=(int)(step&1); int failed=0;
 batch->references=G;batch->pairs=G*L;batch->r=t->b[k].r;batch->j=t->b[k].j;batch->d=t->b[k].d;batch->reference=t->b[k].ref;batch->target=t->b[k].t;batch->importance=t->b[k].imp;
 int lossy_is_1=t->pos!=VJ_POSITIVE_LOSSLESS;
#pragma omp parallel for schedule(dynamic,1) num_threads(t->threads)
 for(size_t g=0;g<G;g++){ uint64_t K=(step-1)*G+g; const struct picture*p=&t->p[pick(t,K)]; int32_t o[256][2]; int f[256]; uint8_t*grey=malloc(P*px*3);
  for(size_t i=0;i<P;i++){ struct vj_u32x4 w=vj_random4(t->c.seed,VJ_RNG_PAIRS,K,(uint32_t)i); o[i][0]=(int32_t)vj_random_below(w.v[0],(uint32_t)(p->h-S+1)); o[i][1]=(int32_t)vj_random_below(w.v[1],(uint32_t)(p->w-S+1)); f[i]=t->c.flip?(int)(w.v[2]>>30):0;
   uint8_t*r=t->b[k].r+(g*P+i)*px*3,*j=t->b[k].j+(g*P+i)*px; gather(p->ref,p->w,p->ch,o[i],S,r,3); gather(p->map,p->w,1,o[i],S,j,1); flip(r,S,3,f[i]&1,f[i]>>1); flip(j,S,1,f[i]&1,f[i]>>1); }
  struct vj_u32x4 s0=vj_random4(t->c.seed,VJ_RNG_PAIRS,K,4096);
  for(size_t l=0;l<L;l++){ size_t q=g*L+l; struct vj_u32x4 w=vj_random4(t->c.seed,VJ_RNG_PAIRS,K,5000+(uint32_t)l); int side=(int)((s0.v[0]>>31)^(l&1)); int qf=draw_qf(t,p,w.v[0],w.v[1],side);
   uint8_t*d=t->b[k].d+q*P*px*3; struct vj_error own={0}; int r=vj_jpeg_plan_patches(p->plan,qf,(const int32_t(*)[2])o,P,S,p->ch==3?d:grey,t->scratch[omp_get_thread_num()],&own);
   if(r)
#pragma omp critical
    failed=vj_fail(err,r,"%s",own.text);
   if(p->ch==1) for(size_t i=0;i<P*px;i++) d[3*i]=d[3*i+1]=d[3*i+2]=grey[i];
   for(size_t i=0;i<P;i++) flip(d+i*px*3,S,3,f[i]&1,f[i]>>1);
   t->b[k].ref[q]=(uint32_t)g; t->b[k].imp[q]=1; t->b[k].t[q]=(qf<=p->qf_true)==lossy_is_1?1:0; }
  free(grey); }
 return failed; }
